//! `cancel_backend`: cancels the statement that one session runs; the session stays.

use super::{ActionKind, Param, ParamKind, Risk, no_undo};

pub(super) const KIND: ActionKind = ActionKind {
    name: "cancel_backend",
    doc: "cancels the statement that one session runs",
    params: &[Param { name: "pid", kind: ParamKind::Integer(1, 4_194_304), doc: "process id of the session" }],
    lock: "",
    risk: Risk::Medium,
    needs_window: false,
    precondition: "the process still runs the same statement",
    verify: "the statement is gone",
    sql: |request| Ok(Some(format!("SELECT pg_cancel_backend({})", request.param("pid")?))),
    undo: no_undo,
};
