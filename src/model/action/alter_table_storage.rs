//! `alter_table_storage`: sets storage parameters of one table, autovacuum's among them.

use super::{ActionKind, ActionRequest, Param, ParamKind, Risk};

pub(super) const KIND: ActionKind = ActionKind {
    name: "alter_table_storage",
    doc: "sets storage parameters of one table",
    params: &[
        Param {
            name: "autovacuum_analyze_scale_factor",
            kind: ParamKind::Number(0.0, 100.0),
            doc: "share of rows changed before an analyze",
        },
        Param { name: "autovacuum_enabled", kind: ParamKind::Flag, doc: "whether autovacuum looks after the table" },
        Param { name: "autovacuum_vacuum_cost_delay", kind: ParamKind::Number(0.0, 100.0), doc: "milliseconds of rest" },
        Param { name: "autovacuum_vacuum_scale_factor", kind: ParamKind::Number(0.0, 100.0), doc: "share of dead rows before a vacuum" },
        Param {
            name: "autovacuum_vacuum_threshold",
            kind: ParamKind::Integer(0, 2_147_483_647),
            doc: "dead rows before a vacuum, beside the share",
        },
        Param { name: "fillfactor", kind: ParamKind::Integer(10, 100), doc: "how full pages are packed, per cent" },
    ],
    lock: "ShareUpdateExclusiveLock",
    risk: Risk::Low,
    needs_window: false,
    precondition: "the parameters have not been changed since the advice",
    verify: "the table's options show the new values",
    sql: |request| statement(request, "SET", |name, value| format!("{name} = {value}")),
    undo: |request| statement(request, "RESET", |name, _| name.to_string()),
};

fn statement(request: &ActionRequest, verb: &str, item: fn(&str, &str) -> String) -> Result<Option<String>, String> {
    if request.params.is_empty() {
        return Err("action `alter_table_storage` needs at least one parameter".into());
    }
    let items: Vec<String> = request.params.iter().map(|(name, value)| item(name, value)).collect();
    Ok(Some(format!("ALTER TABLE {} {verb} ({})", request.table()?, items.join(", "))))
}
