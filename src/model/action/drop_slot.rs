//! `drop_slot`: drops a replication slot, so that the server can recycle the WAL it keeps.

use super::quote::literal;
use super::{ActionKind, Risk, no_undo};

pub(super) const KIND: ActionKind = ActionKind {
    name: "drop_slot",
    doc: "drops one replication slot; its consumer must be built anew",
    params: &[],
    lock: "",
    risk: Risk::High,
    needs_window: false,
    precondition: "the slot is inactive and its consumer is known to be gone",
    verify: "the slot is gone and the WAL folder shrinks",
    sql: |request| Ok(Some(format!("SELECT pg_drop_replication_slot({})", literal(request.label("slot")?)))),
    undo: no_undo,
};
