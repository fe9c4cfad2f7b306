//! `note`: advice in words, where no SQL would be right.

use super::{ActionKind, Param, ParamKind, Risk, no_undo};

pub(super) const KIND: ActionKind = ActionKind {
    name: "note",
    doc: "says what a person should do; no SQL",
    params: &[Param { name: "text", kind: ParamKind::Text, doc: "what to do" }],
    lock: "",
    risk: Risk::Low,
    needs_window: false,
    precondition: "",
    verify: "",
    sql: |_| Ok(None),
    undo: no_undo,
};
