//! What can go wrong with the store, in words that say who should do what.
//!
//! The engine underneath shows only as a source. `Display` never prints a source; whoever shows the error walks the chain.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use rusqlite::{ErrorCode, ffi};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no store to read.
    #[error("there is no store at `{}`; a first `pgsteward run` makes one", path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file or its folder cannot be opened or made.
    #[error("the store `{}` cannot be opened; let the user that runs pgsteward read and write its folder, or name another state folder", path.display())]
    CannotOpen {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is something else.
    #[error("`{}` is not a store of pgsteward; name another state folder, or move the file away", path.display())]
    NotAStore {
        /// Which file.
        path: PathBuf,
    },
    /// A later pgsteward has written it.
    #[error("the store `{}` has form {found}, this pgsteward knows forms up to {known}; use the newer pgsteward that wrote it", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its form.
        found: u32,
        /// The newest form that this build knows.
        known: u32,
    },
    /// An older pgsteward has written it and it was opened only to be read.
    #[error("the store `{}` has the older form {found}; `pgsteward run` brings it to form {known}", path.display())]
    Older {
        /// Which file.
        path: PathBuf,
        /// Its form.
        found: u32,
        /// The form that this build reads.
        known: u32,
    },
    /// Its pages do not fit together: a torn or overwritten file.
    #[error("the store is damaged; move the file away to begin anew, or put a copy back")]
    Damaged {
        /// What was seen.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It may not be written.
    #[error("the store is read-only; let the user that runs pgsteward write the file and its folder")]
    ReadOnly,
    /// There is no room.
    #[error("the disk of the store is full; make room there, or lower `history.max_size`")]
    DiskFull,
    /// Another process wrote for longer than this one waits.
    #[error("another process is writing to the store; try again")]
    Busy,
    /// Another process looks after this target.
    #[error(
        "target `{target}` is held by `{owner}` until {}; stop that process, or wait until its lease runs out",
        until.format("%Y-%m-%d %H:%M:%SZ")
    )]
    LeaseHeld {
        /// Target name.
        target: String,
        /// Who holds it.
        owner: String,
        /// When its lease runs out unless it is renewed.
        until: DateTime<Utc>,
    },
    /// The lease on a target is not, or no more, this owner's; nothing was written.
    #[error("the lease on target `{target}` is not `{owner}`'s; another process has taken it over")]
    LeaseLost {
        /// Target name.
        target: String,
        /// Who believed to hold it.
        owner: String,
    },
    /// The book changed since it was read; nothing was written.
    #[error("the book of target `{target}` is at version {found}, the tick was decided from {expected}; decide again")]
    Conflict {
        /// Target name.
        target: String,
        /// The version that the tick started from.
        expected: u64,
        /// The version that the store has.
        found: u64,
    },
    /// A value could not be put into its stored form.
    #[error("{what} cannot be stored")]
    Encode {
        /// Which value.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Anything else the system said.
    #[error("the store failed")]
    Failed {
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            // So it calls a full disk on which its file of shared memory finds no room.
            Some(_) if error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_SHMSIZE) => Self::DiskFull,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { source: Box::new(error) },
            _ => Self::Failed { source: Box::new(error) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_one_by_whichever_of_its_names() {
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_SHMSIZE] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert!(matches!(StoreError::from(error), StoreError::DiskFull), "{code}");
        }
        let other = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None);
        assert!(matches!(StoreError::from(other), StoreError::Failed { .. }));
    }
}
