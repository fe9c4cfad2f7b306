//! `vacuum`: reclaims dead rows of one table, as autovacuum would.

use super::{ActionKind, ActionRequest, Param, ParamKind, Risk, no_undo};

pub(super) const KIND: ActionKind = ActionKind {
    name: "vacuum",
    doc: "reclaims dead rows of one table",
    params: &[
        Param { name: "analyze", kind: ParamKind::Flag, doc: "refresh the planner's statistics too" },
        Param { name: "freeze", kind: ParamKind::Flag, doc: "freeze every row that can be" },
    ],
    lock: "ShareUpdateExclusiveLock",
    risk: Risk::Low,
    needs_window: false,
    precondition: "no other vacuum works on the table, and no old snapshot holds the xmin horizon",
    verify: "dead rows fall below the table's trigger",
    sql,
    undo: no_undo,
};

fn sql(request: &ActionRequest) -> Result<Option<String>, String> {
    let options: Vec<&str> =
        [("freeze", "FREEZE"), ("analyze", "ANALYZE")].iter().filter(|(name, _)| request.is_set(name)).map(|(_, word)| *word).collect();
    let list = if options.is_empty() { String::new() } else { format!("({}) ", options.join(", ")) };
    Ok(Some(format!("VACUUM {list}{}", request.table()?)))
}
