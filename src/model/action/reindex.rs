//! `reindex`: rebuilds one index without blocking writes.

use super::quote::qualified;
use super::{ActionKind, Risk, no_undo};

pub(super) const KIND: ActionKind = ActionKind {
    name: "reindex",
    doc: "rebuilds one index without blocking writes",
    params: &[],
    lock: "ShareUpdateExclusiveLock",
    risk: Risk::Medium,
    needs_window: true,
    precondition: "no old snapshot is open in the database; disk has room for a second copy",
    verify: "the index is valid and smaller",
    sql: |request| Ok(Some(format!("REINDEX INDEX CONCURRENTLY {}", qualified(request.label("schema")?, request.label("index")?)))),
    undo: no_undo,
};
