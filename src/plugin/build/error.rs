//! Why a project was not built, in words for its author.

use std::path::PathBuf;

use super::super::PluginError;

/// Why a project was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder shows no language.
    #[error("`{}` holds no plugin: there is no Cargo.toml, main.c, main.js or main.py in it", .0.display())]
    NoLanguage(PathBuf),
    /// The folder shows several languages.
    #[error("`{}` has a {first} and a {second}; a folder holds one plugin in one language", .folder.display())]
    Languages {
        /// The folder.
        folder: PathBuf,
        /// One language's file.
        first: &'static str,
        /// Another's.
        second: &'static str,
    },
    /// There is no folder for tools.
    #[error("no folder for tools is known: set $HOME or $PGSTEWARD_TOOLS")]
    NoPlace,
    /// The tool that builds this language is not on this machine.
    #[error("no {what}: {how}")]
    NoTool {
        /// What is missing.
        what: &'static str,
        /// How to get it: a command, or a line for each way.
        how: String,
    },
    /// A tool is there and does not start.
    #[error("`{0}` cannot be started")]
    Start(String, #[source] std::io::Error),
    /// A tool said no.
    #[error("`{command}` failed")]
    Failed {
        /// The tool with its arguments.
        command: String,
        /// What it said.
        output: String,
    },
    /// The tool ended well and left nothing.
    #[error("{0}")]
    Nothing(String),
    /// The code calls what a plugin has not.
    #[error("the code uses files, output or a clock ({}), which a plugin has not; use `pgs_log`", .0.join(", "))]
    Wasi(Vec<String>),
    /// A file of the build cannot be read or written.
    #[error("`{}` cannot be read or written", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// What came of it is no plugin.
    #[error(transparent)]
    Plugin(#[from] PluginError),
}

impl BuildError {
    /// What the tool said before it gave up: to be shown as it is.
    #[must_use]
    pub fn output(&self) -> &str {
        match self {
            Self::Failed { output, .. } => output,
            _ => "",
        }
    }
}
