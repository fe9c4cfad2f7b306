//! Holds an outcome against what a case expects. Lists are exhaustive; each failure says what was expected and what came.

use super::file::{ExpectedFinding, Expects};
use crate::model::{Evaluation, Finding, Labels, Outcome};

/// The failures of one evaluation; none when it is as expected.
pub(super) fn compare(expects: &Expects, outcome: &Outcome) -> Vec<String> {
    match (expects, outcome) {
        (Expects::Findings(expected, unknown), Outcome::Ok(evaluation)) => findings(expected, *unknown, evaluation),
        (Expects::NoData, Outcome::NoData(_)) => Vec::new(),
        (Expects::Error(text), Outcome::Error(message)) if message.contains(text) => Vec::new(),
        (Expects::Error(text), Outcome::Error(message)) => vec![format!("expected an error with `{text}`\n     got {message}")],
        (expects, outcome) => vec![format!("expected {}\n     got {}", wanted(expects), got(outcome))],
    }
}

fn wanted(expects: &Expects) -> String {
    match expects {
        Expects::Findings(list, _) if list.is_empty() => "no finding".into(),
        Expects::Findings(list, _) => format!("{} finding{}", list.len(), if list.len() == 1 { "" } else { "s" }),
        Expects::NoData => "no_data".into(),
        Expects::Error(text) => format!("an error with `{text}`"),
        Expects::Series(_) => "a series".into(),
    }
}

/// An outcome in a few words.
pub(super) fn got(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok(evaluation) if evaluation.findings.is_empty() => "no finding".into(),
        Outcome::Ok(evaluation) => evaluation.findings.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => format!("{} ({})", other.word(), other.reason()),
    }
}

fn shown(finding: &Finding) -> String {
    format!("{} {}: {}", finding.severity, labels(&finding.subject), finding.summary)
}

fn labels(labels: &Labels) -> String {
    format!("{{{}}}", labels.0.iter().map(|(k, v)| format!("{k}: {v}")).collect::<Vec<_>>().join(", "))
}

fn findings(expected: &[ExpectedFinding], unknown: usize, evaluation: &Evaluation) -> Vec<String> {
    let mut failures = Vec::new();
    let mut left: Vec<&Finding> = evaluation.findings.iter().collect();
    for want in expected {
        match left.iter().position(|f| fits(want, f)) {
            Some(at) => failures.extend(details(want, left.remove(at))),
            None => failures.push(absent(want, &left)),
        }
    }
    failures.extend(left.iter().map(|finding| format!("unexpected {}", shown(finding))));
    if unknown != evaluation.unknown {
        failures.push(format!("expected unknown: {unknown}\n     got unknown: {}", evaluation.unknown));
    }
    failures
}

fn fits(want: &ExpectedFinding, finding: &Finding) -> bool {
    want.severity == finding.severity && is_about(want, finding)
}

fn is_about(want: &ExpectedFinding, finding: &Finding) -> bool {
    let whole_server = want.subject.is_empty() && finding.subject.is_empty();
    whole_server || (!want.subject.is_empty() && want.subject.0.iter().all(|(k, v)| finding.subject.get(k) == Some(v.as_str())))
}

fn absent(want: &ExpectedFinding, left: &[&Finding]) -> String {
    let other = left.iter().find(|f| is_about(want, f)).map_or("no such finding".to_string(), |f| shown(f));
    format!("expected {} {}\n     got {other}", want.severity, labels(&want.subject))
}

/// What is wrong with the finding that was meant.
fn details(want: &ExpectedFinding, finding: &Finding) -> Vec<String> {
    let whom = labels(&finding.subject);
    let mut failures = Vec::new();
    for text in &want.says {
        if !finding.summary.contains(text) && !finding.detail.contains(text) {
            let detail = if finding.detail.is_empty() { String::new() } else { format!("\n         {}", finding.detail) };
            failures.push(format!("{whom} should say {text}\n    says {}{detail}", finding.summary));
        }
    }
    failures.extend(want.evidence.iter().filter_map(|(metric, value)| evidence(metric, *value, finding)).map(|f| format!("{whom} {f}")));
    let kinds: Vec<String> = finding.actions.iter().map(|a| a.kind.clone()).collect();
    failures.extend(want.actions.as_ref().and_then(|want| differs("actions", want, &kinds)).map(|f| format!("{whom} {f}")));
    if let Some(want) = &want.sql {
        let sql = finding.actions.iter().filter_map(|a| a.sql().unwrap_or_else(|error| Some(format!("error: {error}"))));
        failures.extend(differs("sql", want, &sql.collect::<Vec<_>>()).map(|f| format!("{whom} {f}")));
    }
    failures
}

fn evidence(metric: &str, value: Option<f64>, finding: &Finding) -> Option<String> {
    let Some(found) = finding.evidence.iter().find(|e| e.metric == metric) else {
        let have: Vec<&str> = finding.evidence.iter().map(|e| e.metric.as_str()).collect();
        return Some(format!("expected evidence `{metric}`\n     got evidence {have:?}"));
    };
    let same = match (value, found.value) {
        (None, None) => true,
        (Some(a), Some(b)) => a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => false,
    };
    let show = |value: Option<f64>| value.map_or("null".to_string(), |v| v.to_string());
    (!same).then(|| format!("expected evidence `{metric}`: {}\n     got {}", show(value), show(found.value)))
}

fn differs(what: &str, want: &[String], got: &[String]) -> Option<String> {
    (want != got).then(|| format!("expected {what} [{}]\n     got {what} [{}]", want.join(", "), got.join(", ")))
}
