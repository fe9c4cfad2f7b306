//! `create_index`: builds an index without blocking writes. `IF NOT EXISTS` is left out on purpose: it would hide an
//! invalid index that a failed build left behind.

use super::quote::{ident, qualified};
use super::{ActionKind, ActionRequest, Param, ParamKind, Risk};

pub(super) const KIND: ActionKind = ActionKind {
    name: "create_index",
    doc: "builds a b-tree index without blocking writes",
    params: &[
        Param { name: "name", kind: ParamKind::Text, doc: "name of the new index" },
        Param { name: "columns", kind: ParamKind::Text, doc: "column names in order, separated by commas" },
    ],
    lock: "ShareUpdateExclusiveLock",
    risk: Risk::Medium,
    needs_window: true,
    precondition: "no index of that name exists; no old snapshot is open in the database",
    verify: "the index is there and valid",
    sql,
    undo: |request| Ok(Some(format!("DROP INDEX CONCURRENTLY {}", qualified(request.label("schema")?, request.param("name")?)))),
};

fn sql(request: &ActionRequest) -> Result<Option<String>, String> {
    let columns: Vec<String> = request.param("columns")?.split(',').map(|c| ident(c.trim())).collect();
    let name = ident(request.param("name")?);
    Ok(Some(format!("CREATE INDEX CONCURRENTLY {name} ON {} ({})", request.table()?, columns.join(", "))))
}
