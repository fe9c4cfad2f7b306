//! Who runs the server: we ourselves, or, for root, an unprivileged user, since PostgreSQL refuses to run as root.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Error;
use super::run::run;

/// Whom root may become, the better first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// The user that a server runs as.
#[derive(Debug, Clone)]
pub(super) enum Owner {
    /// The user that we are.
    Ourselves,
    /// Another one, because we are root.
    User {
        /// Its name.
        name: &'static str,
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
}

impl Owner {
    /// Decides by who owns `ours`, a file or folder that we have just made.
    ///
    /// # Errors
    /// When we are root and there is no other user.
    pub(super) fn of(ours: &Path) -> Result<Self, Error> {
        let metadata = std::fs::metadata(ours).map_err(Error::file(ours))?;
        if metadata.uid() != 0 {
            return Ok(Self::Ourselves);
        }
        let user = |name: &&'static str| Some(Self::User { name, uid: id("-u", name)?, gid: id("-g", name)? });
        CANDIDATES.iter().find_map(user).ok_or(Error::NoUnprivilegedUser)
    }

    /// Gives it a path.
    ///
    /// # Errors
    /// When that is not allowed.
    pub(super) fn give(&self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Ourselves => Ok(()),
            Self::User { uid, gid, .. } => chown(path, Some(*uid), Some(*gid)).map_err(Error::file(path)),
        }
    }

    /// Makes a command run as this user.
    pub(super) fn own<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        match self {
            Self::Ourselves => command,
            Self::User { uid, gid, .. } => command.uid(*uid).gid(*gid),
        }
    }

    /// The user's name, for messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Ourselves => "you",
            Self::User { name, .. } => name,
        }
    }
}

/// A number from `id`, which knows users of every source, not only `/etc/passwd`.
fn id(what: &str, user: &str) -> Option<u32> {
    let ran = run(Command::new("id").args([what, user]), Duration::from_secs(10)).ok()?;
    ran.said.trim().parse().ok().filter(|_| ran.ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_an_id_and_a_stranger_has_none() {
        assert_eq!(id("-u", "root"), Some(0));
        assert_eq!(id("-u", "no-such-user-here"), None);
    }

    #[test]
    fn the_server_never_runs_as_root() {
        let ours = tempfile::tempdir().unwrap();
        if let Owner::User { uid, gid, .. } = Owner::of(ours.path()).unwrap() {
            assert!(uid != 0 && gid != 0);
        }
    }
}
