//! The environment as a value: what looks a variable up takes an `Env`, so that a test gives its own. Open to every room.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A lookup of environment variables.
#[derive(Clone)]
pub struct Env(Arc<Lookup>);

impl Env {
    /// The process's own environment.
    #[must_use]
    pub fn real() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
        Self(Arc::new(|name| std::env::var(name).ok()))
    }

    /// These variables and no others.
    #[must_use]
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let map: BTreeMap<String, String> = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self(Arc::new(move |name| map.get(name).cloned()))
    }

    /// The value of a variable; one that is not UTF-8 counts as not set, an empty one too, as elsewhere in Unix.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }
}

/// Why a program cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoProgram {
    /// There is no such file, nor one in `PATH`.
    Missing,
    /// The file is none that this machine runs.
    NotExecutable,
}

impl Env {
    /// The file of a program, found as the system would: by its path, or by its name in `PATH`.
    ///
    /// # Errors
    /// Why it would not run.
    pub fn program(&self, name: &str) -> Result<PathBuf, NoProgram> {
        let path = self.get("PATH").unwrap_or_default();
        let places: Vec<PathBuf> = match name.contains('/') {
            true => vec![name.into()],
            false => std::env::split_paths(&path).map(|folder| folder.join(name)).collect(),
        };
        let mut files = places.into_iter().filter(|file| file.is_file()).peekable();
        let none = if files.peek().is_some() { NoProgram::NotExecutable } else { NoProgram::Missing };
        files.find(|file| is_executable(file)).ok_or(none)
    }
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    true
}

/// Names nothing: values may be secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_environment_knows_only_what_it_was_given() {
        let env = Env::of([("A", "1"), ("EMPTY", "")]);
        assert_eq!(env.get("A"), Some("1".into()));
        assert_eq!(env.get("EMPTY"), None);
        assert_eq!(env.get("PATH"), None);
        assert_eq!(format!("{env:?}"), "Env(..)");
    }
}
