//! The forms that the store has had, oldest first. A form is never edited after a release; a change is a new file.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Marks the file as ours: `pgst`.
pub(super) const APPLICATION_ID: i64 = 0x7067_7374;

const FORMS: &[&str] = &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")];

/// The form that this build writes and reads.
pub(super) const KNOWN: u32 = FORMS.len() as u32;

/// The form of an open file; 0 for a new one.
///
/// # Errors
/// When it is not ours, or of a later form.
pub(super) fn form(db: &Connection, path: &Path) -> Result<u32, StoreError> {
    // One statement, so that another process's migration is seen whole or not at all.
    let sql = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id, pragma_user_version";
    let (application, found, tables): (i64, u32, i64) = db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    if application != APPLICATION_ID && (application, found, tables) != (0, 0, 0) {
        return Err(StoreError::NotAStore { path: path.into() });
    }
    if found > KNOWN {
        return Err(StoreError::Newer { path: path.into(), found, known: KNOWN });
    }
    Ok(found)
}

/// Brings the file to the form that this build knows; each step is one transaction, so that a crash leaves a whole form.
pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<(), StoreError> {
    while form(db, path)? < KNOWN {
        let step = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Asked again under the lock: another process may have done it meanwhile.
        let from = form(&step, path)?;
        if let Some(sql) = FORMS.get(from as usize) {
            step.execute_batch(sql)?;
            step.pragma_update(None, "application_id", APPLICATION_ID)?;
            step.pragma_update(None, "user_version", from + 1)?;
        }
        step.commit()?;
    }
    Ok(())
}
