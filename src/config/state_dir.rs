//! Where state is kept: `$STATE_DIRECTORY`, else the config's `state_dir`, else the platform's state folder.
//!
//! Never beside the config: under systemd that folder is read-only.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::checked::Config;
use crate::env::Env;

/// Why there is no place for state.
#[derive(Debug, Error)]
pub enum StateDirError {
    /// Neither told nor known.
    #[error("no folder for state: set `state_dir` in the config, $STATE_DIRECTORY or $HOME")]
    Unknown,
    /// It cannot be made.
    #[error("cannot make the state folder `{}`: make it yourself or set `state_dir` to one that this user may write", .0.display())]
    Make(PathBuf, #[source] std::io::Error),
    /// Something else is there.
    #[error("the state folder `{}` is not a folder", .0.display())]
    NoFolder(PathBuf),
}

/// Finds the state folder and makes it if need be, for this user alone.
///
/// # Errors
/// When nothing names one, or it cannot be made.
pub fn state_dir(config: Option<&Config>, env: &Env) -> Result<PathBuf, StateDirError> {
    let dir = chosen(config.and_then(|c| c.state_dir.as_deref()), env).or_else(platform).ok_or(StateDirError::Unknown)?;
    if dir.is_dir() {
        return Ok(dir);
    }
    if dir.exists() {
        return Err(StateDirError::NoFolder(dir));
    }
    make(&dir).map_err(|error| StateDirError::Make(dir.clone(), error))?;
    Ok(dir)
}

/// systemd separates several folders by colons; the first is the service's own.
fn chosen(configured: Option<&Path>, env: &Env) -> Option<PathBuf> {
    let first = |list: String| list.split(':').next().filter(|dir| !dir.is_empty()).map(PathBuf::from);
    env.get("STATE_DIRECTORY").and_then(first).or_else(|| configured.map(Path::to_path_buf))
}

fn platform() -> Option<PathBuf> {
    let dirs = directories::ProjectDirs::from("", "", "pgsteward")?;
    Some(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_path_buf())
}

fn make(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_manager_comes_before_the_config() {
        let env = Env::of([("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")]);
        assert_eq!(chosen(Some(Path::new("/srv/state")), &env), Some("/var/lib/a".into()));
        assert_eq!(chosen(Some(Path::new("/srv/state")), &Env::of([])), Some("/srv/state".into()));
        assert_eq!(chosen(None, &Env::of([("STATE_DIRECTORY", "")])), None);
    }

    #[cfg(unix)]
    #[test]
    fn it_is_made_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let env = Env::of([("STATE_DIRECTORY", path.to_str().unwrap())]);
        assert_eq!(state_dir(None, &env).unwrap(), path);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(dir.path().join("file"), "").unwrap();
        let env = Env::of([("STATE_DIRECTORY", dir.path().join("file").to_str().unwrap())]);
        assert!(matches!(state_dir(None, &env), Err(StateDirError::NoFolder(_))));
    }
}
