//! `status.json` in the state folder: what an external watch can look at without asking the process.
//!
//! Most of it is what the store holds, so that it says the same whoever wrote it last: a service, or a run from cron
//! beside it. It is written beside its place and renamed, so a reader finds the old file or the new one, and never half
//! of one. How old `written_at` is tells whether anybody still runs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::house::House;
use crate::model::ChannelHealth;
use crate::store::StoreError;

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of this file's form.
    pub form: u32,
    /// The build that wrote it.
    pub version: String,
    /// The process that wrote it.
    pub pid: u32,
    /// When.
    pub written_at: DateTime<Utc>,
    /// When each target's latest tick was taken; `null` before the first.
    pub last_tick: BTreeMap<String, Option<DateTime<Utc>>>,
    /// How each channel fares.
    pub channels: BTreeMap<String, ChannelHealth>,
    /// The latest run that left targets to another process: when, and which.
    pub skipped_overlap: Option<Overlap>,
}

/// A run that found targets in the hands of another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// When.
    pub at: DateTime<Utc>,
    /// The targets.
    pub targets: Vec<String>,
}

/// Why the file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// What it would say cannot be had.
    #[error("the store does not say what to write into the status file")]
    Store(#[from] StoreError),
    /// It cannot be written or put into its place.
    #[error("cannot write `{}`; {}", .0.display(), mend(.1))]
    Write(PathBuf, #[source] std::io::Error),
}

fn mend(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded) { "make room on its disk" } else { "let this user write the state folder" }
}

/// The form that this build writes.
const FORM: u32 = 1;

/// The file in a state folder.
#[must_use]
pub fn path_in(state_dir: &Path) -> PathBuf {
    state_dir.join("status.json")
}

/// Reads a status file; `None` when there is none that can be read.
#[must_use]
pub fn read(path: &Path) -> Option<Status> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Writes the file of the house, if it has one. `overlap` is the latest; without one, that of the file before stays.
///
/// # Errors
/// When the store cannot be read or the file cannot be written; the old one stays then.
pub fn write(house: &House, overlap: Option<Overlap>) -> Result<(), StatusError> {
    let Some(path) = &house.status_file else { return Ok(()) };
    let now = house.clock.now();
    let (ticks, mut channels) = {
        let store = house.store.lock();
        (store.targets()?, store.channel_health(now)?)
    };
    for name in house.channels.keys() {
        channels.entry(name.clone()).or_default();
    }
    let ticked: BTreeMap<_, _> = ticks.into_iter().map(|target| (target.name, target.last_tick_at)).collect();
    let unusable = house.unusable.iter().map(|(name, _)| name.clone());
    let names = house.watches.iter().map(|watch| watch.target.name.clone()).chain(unusable);
    let last_tick = names.map(|name| (name.clone(), ticked.get(&name).copied().flatten())).collect();
    let status = Status {
        form: FORM,
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        written_at: now,
        last_tick,
        channels,
        skipped_overlap: overlap.or_else(|| read(path)?.skipped_overlap),
    };
    put(path, &status).map_err(|error| StatusError::Write(path.clone(), error))
}

/// Puts the file into its place in one step.
///
/// # Errors
/// When it cannot be written or renamed; what was there stays, and nothing beside it.
pub fn put(path: &Path, status: &Status) -> std::io::Result<()> {
    let beside = path.with_extension(format!("json.{}", std::process::id()));
    let text = serde_json::to_vec_pretty(status)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // A watch may read it by its group; what receivers said is nobody else's business.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    let written = options.open(&beside).and_then(|mut file| file.write_all(&text));
    let put = written.and_then(|()| std::fs::rename(&beside, path));
    if put.is_err() {
        // Where it could not be made there is nothing to take away.
        drop(std::fs::remove_file(&beside));
    }
    put
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(skipped_overlap: Option<Overlap>) -> Status {
        Status {
            form: FORM,
            version: "1".into(),
            pid: 7,
            written_at: DateTime::UNIX_EPOCH,
            last_tick: [("shop".to_string(), None)].into(),
            channels: [("mail".to_string(), ChannelHealth { waiting: 3, ..ChannelHealth::default() })].into(),
            skipped_overlap,
        }
    }

    #[test]
    fn what_was_written_is_read_back_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        assert_eq!(read(&path), None);
        let first = status(Some(Overlap { at: DateTime::UNIX_EPOCH, targets: vec!["shop".into()] }));
        for status in [first, status(None)] {
            put(&path, &status).unwrap();
            assert_eq!(read(&path), Some(status));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o027, 0, "its owner and their group only");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_put_into_its_place_is_taken_away_and_says_what_would_help() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        std::fs::create_dir_all(path.join("in the way")).unwrap();
        assert!(put(&path, &status(None)).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only what was there");
        let said = |kind: std::io::ErrorKind| StatusError::Write("s".into(), kind.into()).to_string();
        assert_eq!(said(std::io::ErrorKind::StorageFull), "cannot write `s`; make room on its disk");
        assert_eq!(said(std::io::ErrorKind::PermissionDenied), "cannot write `s`; let this user write the state folder");
    }

    #[test]
    fn a_torn_file_is_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        std::fs::write(&path, "{\"form\": 1, \"pid\"").unwrap();
        assert_eq!(read(&path), None);
    }
}
