//! What is wrong with a plugin file, named, with who should do what.

use std::path::PathBuf;

use pgsteward_sandbox::{LoadError, Refused};

/// Why a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The file cannot be read.
    #[error("`{}` cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The file or folder cannot be written.
    #[error("`{}` cannot be written", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
    /// A new project would stand on something.
    #[error("`{}` is there already; give another name, or `--dir` with a folder that is new or empty", .0.display())]
    Taken(PathBuf),
    /// It is no plugin, or one that cannot be run.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A core module that does not say which world it was built for.
    #[error("it is a core module without the type of its world ({0}); build it against plugin.wit, or make a component of it")]
    Module(String),
    /// Its code could not be compiled within the limits, or not at all.
    #[error("it cannot be compiled: {0}")]
    Compile(String),
    /// Its compiled code could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Another file than the one that was pinned.
    #[error("its SHA-256 is {found}, the config pins {pinned}; install the pinned file, or pin this one after reading it")]
    Hash {
        /// What the file has.
        found: String,
        /// What was pinned.
        pinned: String,
    },
    /// A signature is demanded and there is none.
    #[error(
        "it is not signed, and the config demands a signature (`plugins: {{signed_by: ..}}`); get its `.minisig` file and install it again"
    )]
    Unsigned,
    /// There is a signature that does not hold.
    #[error("its signature does not hold: {0}")]
    Signature(String),
    /// Nothing of that name is installed.
    #[error("no plugin `{0}` is installed; `pgsteward plugin list` shows those that are")]
    NotInstalled(String),
    /// Something that was packed with it is no good.
    #[error("{0}")]
    Content(String),
    /// The folder of compiled code could have been written by others.
    #[error("the folder `{}` may be written by others than its owner, so no code is loaded from it; `chmod 700` it", .0.display())]
    Shared(PathBuf),
}
