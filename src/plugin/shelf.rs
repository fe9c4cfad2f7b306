//! Installed plugins: for each its file, its signature where it has one, and a record of what it said of itself, so that
//! its rules are known even where it cannot be run.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::signature::{beside, signature_of};
use super::{Package, PluginError, open};
use crate::model::RuleMeta;
use crate::problem::Problem;

/// What is known of an installed plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// Whether it runs.
    pub enabled: bool,
    /// What its rules declare.
    pub rules: Vec<RuleMeta>,
}

impl Record {
    /// How it is named to people, and what its rules say they are from.
    #[must_use]
    pub fn source(&self) -> String {
        format!("plugin {} {}", self.id, self.version)
    }
}

/// The folder of installed plugins.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
}

impl Shelf {
    /// The shelf in a state folder. Nothing is made before something is installed.
    #[must_use]
    pub fn in_state(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("plugins") }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where compiled code is kept.
    #[must_use]
    pub fn compiled_dir(&self) -> PathBuf {
        self.dir.join("compiled")
    }

    /// Where an installed plugin's file is.
    #[must_use]
    pub fn file_of(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.wasm"))
    }

    fn record_of(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    /// All installed plugins by id; records that cannot be read stand beside them as problems of their files.
    ///
    /// # Errors
    /// When the folder is there and cannot be read.
    pub fn list(&self) -> Result<(Vec<Record>, Vec<Problem>), PluginError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            // Only that: a folder that may not be read is no proof that nothing is installed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            Err(error) => return Err(PluginError::Read(self.dir.clone(), error)),
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
        paths.sort();
        let (mut records, mut problems) = (Vec::new(), Vec::new());
        for path in paths {
            match read_record(&path) {
                Ok(record) => records.push(record),
                Err(reason) => problems.push(Problem::error(path.display().to_string(), None, reason)),
            }
        }
        Ok((records, problems))
    }

    /// The record of one plugin.
    ///
    /// # Errors
    /// When it is not installed, or its record cannot be read.
    pub fn find(&self, id: &str) -> Result<Record, PluginError> {
        let path = self.record_of(id);
        if crate::rules::meta::check_id(id).is_err() || !path.exists() {
            return Err(PluginError::NotInstalled(id.into()));
        }
        read_record(&path).map_err(|reason| PluginError::Content(format!("`{}`: {reason}", path.display())))
    }

    /// The file of an installed plugin, which must be the one that was installed, and its signature.
    ///
    /// # Errors
    /// When it cannot be read or was changed since.
    pub fn open(&self, record: &Record) -> Result<(Package, Option<String>), PluginError> {
        let path = self.file_of(&record.id);
        let package = open(&path)?;
        if package.inspection.hash != record.sha256 {
            let found = package.inspection.hash;
            return Err(PluginError::Content(format!(
                "`{}` was changed since it was installed (SHA-256 {found}, recorded {}); install it again",
                path.display(),
                record.sha256
            )));
        }
        Ok((package, signature_of(&path)))
    }

    /// Puts a plugin in place of any earlier version of it. The record comes last: without it nothing is installed.
    ///
    /// # Errors
    /// When it cannot be written; then what was there stays.
    pub fn install(&self, package: &Package, signature: Option<&str>, record: &Record) -> Result<(), PluginError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(|error| PluginError::Write(self.dir.clone(), error))?;
        let file = self.file_of(&record.id);
        write_whole(&file, &package.file)?;
        let signed = beside(&file);
        match signature {
            Some(signature) => write_whole(&signed, signature.as_bytes())?,
            None if signed.exists() => std::fs::remove_file(&signed).map_err(|error| PluginError::Write(signed, error))?,
            None => {}
        }
        self.write(record)
    }

    /// Switches a plugin on or off.
    ///
    /// # Errors
    /// When it is not installed or its record cannot be written.
    pub fn set_enabled(&self, id: &str, enabled: bool) -> Result<Record, PluginError> {
        let record = Record { enabled, ..self.find(id)? };
        self.write(&record)?;
        Ok(record)
    }

    /// Takes a plugin away.
    ///
    /// # Errors
    /// When it is not installed or cannot be removed.
    pub fn remove(&self, id: &str) -> Result<Record, PluginError> {
        let record = self.find(id)?;
        let file = self.file_of(id);
        for path in [self.record_of(id), beside(&file), file] {
            if path.exists() {
                std::fs::remove_file(&path).map_err(|error| PluginError::Write(path, error))?;
            }
        }
        Ok(record)
    }

    fn write(&self, record: &Record) -> Result<(), PluginError> {
        let path = self.record_of(&record.id);
        let text = serde_json::to_vec_pretty(record).map_err(|error| PluginError::Write(path.clone(), error.into()))?;
        write_whole(&path, &text)
    }
}

/// A record under the name of its plugin: no record leads to another's file.
fn read_record(path: &Path) -> Result<Record, String> {
    let text = std::fs::read(path).map_err(|error| format!("it cannot be read ({error})"))?;
    let no_record = |reason: String| format!("it is no record of a plugin ({reason}); install it again");
    let record: Record = serde_json::from_slice(&text).map_err(|error| no_record(error.to_string()))?;
    if path.file_stem().is_none_or(|name| name != record.id.as_str()) {
        return Err(no_record(format!("it is of `{}`", record.id)));
    }
    Ok(record)
}

/// Appears whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), PluginError> {
    let error = |error| PluginError::Write(path.to_path_buf(), error);
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder).map_err(error)?;
    std::fs::write(file.path(), bytes).map_err(error)?;
    file.as_file().sync_all().map_err(error)?;
    file.persist(path).map(drop).map_err(|failed| error(failed.error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::guest::Guest;

    /// A shelf, and a plugin in a file beside it.
    fn shelf() -> (tempfile::TempDir, Shelf, Package, Record) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file.wasm");
        std::fs::write(&file, Guest::default().component()).unwrap();
        let package = open(&file).unwrap();
        let record = Record {
            id: "guest".into(),
            version: "1.0.0".into(),
            sha256: package.inspection.hash.clone(),
            enabled: true,
            rules: Vec::new(),
        };
        let shelf = Shelf::in_state(folder.path());
        (folder, shelf, package, record)
    }

    #[test]
    fn what_was_installed_is_found_switched_and_removed() {
        let (_folder, shelf, package, record) = shelf();
        assert_eq!(shelf.list().unwrap(), (Vec::new(), Vec::new()), "there is not even a folder");
        shelf.install(&package, Some("signature"), &record).unwrap();
        assert_eq!(shelf.find("guest").unwrap(), record);
        let (opened, signature) = shelf.open(&record).unwrap();
        assert_eq!((opened.file, signature.as_deref()), (package.file.clone(), Some("signature")));
        let off = shelf.set_enabled("guest", false).unwrap();
        assert_eq!(shelf.list().unwrap(), (vec![off], Vec::new()));
        shelf.install(&package, None, &record).unwrap();
        assert_eq!(shelf.open(&record).unwrap().1, None, "the old signature is of the old file");
        shelf.remove("guest").unwrap();
        assert_eq!(std::fs::read_dir(shelf.dir()).unwrap().count(), 0);
        assert!(matches!(shelf.remove("guest"), Err(PluginError::NotInstalled(_))));
    }

    #[test]
    fn a_name_leads_to_no_file_outside_and_a_record_only_to_its_own() {
        let (folder, shelf, package, record) = shelf();
        shelf.install(&package, None, &record).unwrap();
        std::fs::write(folder.path().join("out.json"), serde_json::to_vec(&record).unwrap()).unwrap();
        for id in ["../out", "", "a/b", "guest.json"] {
            assert!(matches!(shelf.find(id), Err(PluginError::NotInstalled(_))), "{id}");
        }
        std::fs::copy(shelf.dir().join("guest.json"), shelf.dir().join("other.json")).unwrap();
        let (records, problems) = shelf.list().unwrap();
        assert_eq!((records.len(), problems.len()), (1, 1));
        assert!(problems[0].to_string().ends_with("other.json: error: it is no record of a plugin (it is of `guest`); install it again"));
    }

    #[test]
    fn a_file_that_was_changed_is_not_opened() {
        let (_folder, shelf, package, record) = shelf();
        shelf.install(&package, None, &record).unwrap();
        std::fs::write(shelf.file_of("guest"), Guest { version: "1.0.1", ..Guest::default() }.component()).unwrap();
        let error = shelf.open(&record).unwrap_err().to_string();
        assert!(error.contains("was changed since it was installed (SHA-256 ") && error.ends_with("; install it again"), "{error}");
    }
}
