//! `drop_index`: drops an index without blocking the table. Its definition is kept as the way back.

use super::quote::qualified;
use super::{ActionKind, Param, ParamKind, Risk};

pub(super) const KIND: ActionKind = ActionKind {
    name: "drop_index",
    doc: "drops one index without blocking its table",
    params: &[Param { name: "definition", kind: ParamKind::Text, doc: "its CREATE INDEX statement, for the way back" }],
    lock: "ShareUpdateExclusiveLock",
    risk: Risk::High,
    needs_window: true,
    precondition: "no scan since the advice, on the primary and on every standby; it backs no constraint",
    verify: "the index is gone and no statement became slower",
    sql: |request| Ok(Some(format!("DROP INDEX CONCURRENTLY {}", qualified(request.label("schema")?, request.label("index")?)))),
    undo: |request| Ok(request.params.get("definition").cloned()),
};
