//! The languages a plugin can be written in, and how a project shows which one it is in.

use std::fmt;
use std::path::Path;

use super::build::BuildError;

/// A language with a kit and a way to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust, by cargo.
    Rust,
    /// C, by clang or zig.
    C,
    /// JavaScript, with an interpreter in the component.
    JavaScript,
    /// Python, with an interpreter in the component.
    Python,
}

impl Language {
    /// All, in the order in which people are shown them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::C, Self::JavaScript, Self::Python];

    /// The word on the command line, and the folder of its template.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::JavaScript => "js",
            Self::Python => "python",
        }
    }

    /// The file by which a project shows its language.
    #[must_use]
    pub fn mark(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::C => "main.c",
            Self::JavaScript => "main.js",
            Self::Python => "main.py",
        }
    }

    /// The language of a project's folder.
    ///
    /// # Errors
    /// When it shows none, or several.
    pub fn of_folder(folder: &Path) -> Result<Self, BuildError> {
        let found: Vec<Self> = Self::ALL.into_iter().filter(|language| folder.join(language.mark()).is_file()).collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(BuildError::NoLanguage(folder.to_path_buf())),
            [first, second, ..] => Err(BuildError::Languages { folder: folder.to_path_buf(), first: first.mark(), second: second.mark() }),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::C => "C",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_shows_its_language_by_one_file() {
        for language in Language::ALL {
            let folder = tempfile::tempdir().unwrap();
            let found = || Language::of_folder(folder.path()).map_err(|error| error.to_string());
            assert!(found().is_err_and(|said| said.ends_with("there is no Cargo.toml, main.c, main.js or main.py in it")));
            std::fs::write(folder.path().join(language.mark()), "").unwrap();
            assert_eq!(found(), Ok(language));
        }
    }

    #[test]
    fn two_languages_in_a_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["Cargo.toml", "main.py"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let said = Language::of_folder(folder.path()).unwrap_err().to_string();
        assert!(said.ends_with("has a Cargo.toml and a main.py; a folder holds one plugin in one language"), "{said}");
    }
}
