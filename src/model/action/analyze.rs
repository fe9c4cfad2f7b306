//! `analyze`: refreshes the planner's statistics of one table.

use super::{ActionKind, Risk, no_undo};

pub(super) const KIND: ActionKind = ActionKind {
    name: "analyze",
    doc: "refreshes the planner's statistics of one table",
    params: &[],
    lock: "ShareUpdateExclusiveLock",
    risk: Risk::Low,
    needs_window: false,
    precondition: "no other analyze works on the table",
    verify: "rows changed since analyze fall to near zero",
    sql: |request| Ok(Some(format!("ANALYZE {}", request.table()?))),
    undo: no_undo,
};
