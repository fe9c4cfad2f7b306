//! `terminate_backend`: ends one session; its transaction is rolled back.

use super::{ActionKind, Param, ParamKind, Risk, no_undo};

pub(super) const KIND: ActionKind = ActionKind {
    name: "terminate_backend",
    doc: "ends one session; its transaction is rolled back",
    params: &[Param { name: "pid", kind: ParamKind::Integer(1, 4_194_304), doc: "process id of the session" }],
    lock: "",
    risk: Risk::High,
    needs_window: false,
    precondition: "the process still runs the same transaction",
    verify: "the session is gone and nobody waits for it",
    sql: |request| Ok(Some(format!("SELECT pg_terminate_backend({})", request.param("pid")?))),
    undo: no_undo,
};
