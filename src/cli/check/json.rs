//! `check --format json`: the stable form for scripts. Keys are only ever added.

use serde_json::{Value, json};

use crate::app::report::{Report, Row};
use crate::deliver::render::json_safe;
use crate::model::{ActionRequest, Outcome, RuleOutcome};

/// One document.
#[must_use]
pub fn render(report: &Report) -> String {
    let snapshot = &report.snapshot;
    let document = json!({
        "target": snapshot.target.name,
        "taken_at": snapshot.taken_at,
        "server_version": snapshot.server.as_ref().map(|s| s.short_version()),
        "findings": report.rows().iter().map(finding).collect::<Vec<_>>(),
        "outcomes": report.outcomes.iter().map(|o| json!({
            "rule": o.meta.id,
            "outcome": o.outcome.word(),
            "reason": o.outcome.reason(),
            "unknown": unknown(o),
        })).collect::<Vec<_>>(),
        "unusable_rules": report.unusable,
        "closed_databases": report.closed(),
        "exit_code": report.exit_code(),
        "cost": snapshot.cost,
    });
    format!("{}\n", json_safe(&format!("{document:#}")))
}

/// Rows that a rule could not judge, though it came to an end.
fn unknown(outcome: &RuleOutcome) -> usize {
    match &outcome.outcome {
        Outcome::Ok(evaluation) => evaluation.unknown,
        _ => 0,
    }
}

fn finding(row: &Row<'_>) -> Value {
    let f = row.finding;
    json!({
        "rule": row.meta.id,
        "severity": f.severity,
        "tier": row.meta.tier,
        "state": row.alert.map(|a| a.state),
        "subject": f.subject,
        "summary": f.summary,
        "detail": f.detail,
        "evidence": f.evidence,
        "actions": f.actions.iter().map(action).collect::<Vec<_>>(),
        "links": f.links,
        "runbook": row.meta.runbook,
    })
}

fn action(request: &ActionRequest) -> Value {
    let kind = crate::model::action::kind(&request.kind).ok();
    json!({
        "kind": request.kind,
        "sql": request.sql().ok().flatten(),
        "undo": request.undo().ok().flatten(),
        "risk": kind.map(|k| k.risk),
        "lock": kind.map(|k| k.lock),
        "params": request.params,
        "why": request.why,
    })
}
