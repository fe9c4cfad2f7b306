//! `set_parameter`: sets one server parameter with ALTER SYSTEM; a reload or restart makes it take effect.

use super::quote::{ident, literal};
use super::{ActionKind, ActionRequest, Param, ParamKind, Risk};

pub(super) const KIND: ActionKind = ActionKind {
    name: "set_parameter",
    doc: "sets one server parameter in postgresql.auto.conf",
    params: &[
        Param { name: "name", kind: ParamKind::Text, doc: "name of the parameter" },
        Param { name: "value", kind: ParamKind::Text, doc: "new value, with its unit" },
    ],
    lock: "",
    risk: Risk::High,
    needs_window: true,
    precondition: "the parameter has not been changed since the advice",
    verify: "pg_settings shows the new value and no pending restart",
    sql: |request| Ok(Some(format!("ALTER SYSTEM SET {} = {}", parameter(request)?, literal(request.param("value")?)))),
    undo: |request| Ok(Some(format!("ALTER SYSTEM RESET {}", parameter(request)?))),
};

/// The name of a parameter; an extension's has two parts, each an identifier of its own.
fn parameter(request: &ActionRequest) -> Result<String, String> {
    Ok(request.param("name")?.split('.').map(ident).collect::<Vec<_>>().join("."))
}
