//! Opening: the file made (readable by its owner only, since frames may hold statement texts), checked, and brought to
//! the form that this build knows.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{Store, StoreError, migrations};

/// How long a write waits for another process's short write.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of the smallest page that SQLite knows.
const SMALLEST_PAGE: u64 = 512;

/// Statements kept ready; more than this room has.
const STATEMENTS: usize = 128;

impl Store {
    /// Opens the store of that file to read and write; makes file and folder when they are not there.
    ///
    /// # Errors
    /// When the folder or file cannot be made or written, holds something else, is damaged, or is of a later form.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        make_file(path).map_err(|source| cannot_open(path, source))?;
        refuse_a_stub(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(path, flags).map_err(|e| explain(e.into(), path))?;
        prepare(&mut db, path).map_err(|e| explain(e, path))?;
        Ok(Self::over(db))
    }

    /// Opens the store of that file only to read, beside whoever writes it.
    ///
    /// # Errors
    /// When it is not there, cannot be read, holds something else, is damaged, or is of another form.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Absent { path: path.into() });
        }
        refuse_a_stub(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(|e| explain(e.into(), path))?;
        db.busy_timeout(PATIENCE)?;
        match migrations::form(&db, path).map_err(|e| explain(e, path))? {
            0 => Err(StoreError::Absent { path: path.into() }),
            found if found < migrations::KNOWN => Err(StoreError::Older { path: path.into(), found, known: migrations::KNOWN }),
            _ => Ok(Self::over(db)),
        }
    }
}

/// A file that was cut to less than its first page would pass for a new one.
fn refuse_a_stub(path: &Path) -> Result<(), StoreError> {
    let bytes = std::fs::metadata(path).map_err(|source| cannot_open(path, source))?.len();
    if (1..SMALLEST_PAGE).contains(&bytes) { Err(StoreError::NotAStore { path: path.into() }) } else { Ok(()) }
}

fn make_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn prepare(db: &mut Connection, path: &Path) -> Result<(), StoreError> {
    db.busy_timeout(PATIENCE)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // Foreign files are refused before anything is written to them.
    if migrations::form(db, path)? == 0 {
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "journal_size_limit", 16 << 20)?;
    migrations::migrate(db, path)
}

fn explain(error: StoreError, path: &Path) -> StoreError {
    let source = match error {
        StoreError::Damaged { source } | StoreError::Failed { source } => source,
        other => return other,
    };
    match source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code) {
        Some(ErrorCode::NotADatabase) => StoreError::NotAStore { path: path.into() },
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { source },
        _ => StoreError::CannotOpen { path: path.into(), source },
    }
}

fn cannot_open(path: &Path, source: std::io::Error) -> StoreError {
    match source.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
        std::io::ErrorKind::StorageFull => StoreError::DiskFull,
        _ => StoreError::CannotOpen { path: path.into(), source: source.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::two_handles;
    use super::*;

    fn said(result: Result<Store, StoreError>) -> String {
        match result {
            Ok(_) => "opened".into(),
            Err(error) => error.to_string(),
        }
    }

    fn tampered(tamper: impl FnOnce(&Path)) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        drop(Store::open(&path).unwrap());
        tamper(&path);
        (folder, path)
    }

    #[test]
    fn a_new_store_is_made_with_its_folder_and_only_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/pgsteward/store.db");
        Store::open(&path).unwrap();
        Store::open(&path).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn every_commit_is_on_the_disk_before_it_returns() {
        let (_folder, store, _) = two_handles();
        let pragma = |name: &str| store.db.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        assert_eq!(pragma("journal_mode"), rusqlite::types::Value::Text("wal".into()));
        assert_eq!(pragma("synchronous"), rusqlite::types::Value::Integer(2));
    }

    #[test]
    fn a_store_of_a_later_form_is_refused_by_name() {
        let (_folder, path) = tampered(|path| {
            Connection::open(path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        });
        let later = format!(
            "the store `{}` has form 99, this pgsteward knows forms up to {}; use the newer pgsteward that wrote it",
            path.display(),
            migrations::KNOWN
        );
        assert_eq!(said(Store::open(&path)), later);
        assert_eq!(said(Store::open_read_only(&path)), later);
    }

    #[test]
    fn another_programs_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("notes.txt");
        std::fs::write(&text, "not a database, but longer than a header would be. ".repeat(40)).unwrap();
        assert!(said(Store::open(&text)).contains("is not a store of pgsteward"), "{}", said(Store::open(&text)));
        assert!(std::fs::read_to_string(&text).unwrap().starts_with("not a database"));

        let foreign = folder.path().join("foreign.db");
        Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
        let before = std::fs::read(&foreign).unwrap();
        assert!(said(Store::open(&foreign)).contains("is not a store of pgsteward"), "{}", said(Store::open(&foreign)));
        assert_eq!(std::fs::read(&foreign).unwrap(), before);
    }

    #[test]
    fn a_torn_file_is_called_damaged() {
        let (_folder, path) = tampered(|path| {
            let whole = std::fs::read(path).unwrap();
            std::fs::write(path, &whole[..whole.len() / 2 - 100]).unwrap();
        });
        assert_eq!(said(Store::open(&path)), "the store is damaged; move the file away to begin anew, or put a copy back");
    }

    #[test]
    fn what_cannot_be_a_store_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("none.db");
        assert_eq!(
            said(Store::open_read_only(&absent)),
            format!("there is no store at `{}`; a first `pgsteward run` makes one", absent.display())
        );
        assert!(said(Store::open(folder.path())).contains("cannot be opened"));
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(said(Store::open(&file.join("store.db"))).contains("cannot be opened"));
    }

    #[test]
    fn many_processes_may_open_a_new_store_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let all: Vec<String> = std::thread::scope(|scope| {
            let opening: Vec<_> = (0..8).map(|_| scope.spawn(|| said(Store::open(&path)))).collect();
            opening.into_iter().map(|o| o.join().unwrap()).collect()
        });
        assert_eq!(all, ["opened"; 8]);
    }
}
