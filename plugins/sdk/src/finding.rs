//! Saying what was found: builders on the records of the wire, so that a finding reads as a sentence.

use crate::wire::{Action, Evaluation, Evidence, Finding, Link, Severity};

/// What a rule says of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is as it should be; its alert resolves.
    Quiet,
    /// It cannot be judged; its alert keeps its state.
    Unknown,
    /// It is not as it should be.
    Found(Finding),
}

impl From<Option<Finding>> for Verdict {
    fn from(finding: Option<Finding>) -> Self {
        finding.map_or(Self::Quiet, Self::Found)
    }
}

impl From<Finding> for Verdict {
    fn from(finding: Finding) -> Self {
        Self::Found(finding)
    }
}

/// Worth knowing. `summary` is one line with the numbers that matter: the host fills `{name}` with a column of the row, a
/// piece of evidence or a setting. Put foreign text in through [`plain`].
#[must_use]
pub fn info(summary: impl Into<String>) -> Finding {
    Finding::new(Severity::Info, summary)
}

/// Wants doing in working hours; else as [`info`].
#[must_use]
pub fn warning(summary: impl Into<String>) -> Finding {
    Finding::new(Severity::Warning, summary)
}

/// Wants doing now; else as [`info`].
#[must_use]
pub fn critical(summary: impl Into<String>) -> Finding {
    Finding::new(Severity::Critical, summary)
}

/// `text` for a summary or detail just as it is: its braces are not filled in.
#[must_use]
pub fn plain(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

impl Finding {
    /// For a severity that is computed; [`info`], [`warning`] and [`critical`] read better.
    #[must_use]
    pub fn new(severity: Severity, summary: impl Into<String>) -> Self {
        let summary = summary.into();
        Self { row: None, severity, summary, detail: String::new(), evidence: vec![], actions: vec![], links: vec![], extra: vec![] }
    }

    /// More for who looks closer; filled in like the summary.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = text.into();
        self
    }

    /// A measured fact, with the limit that it was held against or `None`. `unit` is a word of the contract: "" (a count),
    /// "rows", "bytes", "s", "ms", "%", "ratio", "x", "blocks", "xids", "days", "/s". `value` may be NaN (unknown), not infinite.
    #[must_use]
    pub fn evidence(mut self, metric: impl Into<String>, value: f64, threshold: impl Into<Option<f64>>, unit: &str) -> Self {
        self.evidence.push(Evidence { metric: metric.into(), value, threshold: threshold.into(), unit: unit.into() });
        self
    }

    /// Something that could be done: `.action(vacuum().analyze(true).why("..."))`.
    #[must_use]
    pub fn action(mut self, action: impl Into<Action>) -> Self {
        self.actions.push(action.into());
        self
    }

    /// A page to read on; its address begins with `https://`.
    #[must_use]
    pub fn link(mut self, title: impl Into<String>, url: impl Into<String>) -> Self {
        self.links.push(Link { title: title.into(), url: url.into() });
        self
    }

    /// The row that it is about. A rule that judges row by row need not say it.
    #[must_use]
    pub fn on(mut self, row: u32) -> Self {
        self.row = Some(row);
        self
    }
}

impl Evaluation {
    /// Nothing found, nothing unknown.
    #[must_use]
    pub fn quiet() -> Self {
        Self { findings: Vec::new(), unknown: Vec::new(), extra: Vec::new() }
    }

    /// Notes that a row could not be judged, so that its alert keeps its state.
    pub fn unknown(&mut self, row: u32) {
        self.unknown.push(row);
    }

    /// Keeps a finding.
    pub fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

impl FromIterator<Finding> for Evaluation {
    fn from_iter<I: IntoIterator<Item = Finding>>(findings: I) -> Self {
        Self { findings: findings.into_iter().collect(), ..Self::quiet() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_a_sentence() {
        let said =
            warning("{table} is large").evidence("tables.live", 5.0, None, "rows").link("Manual", "https://www.postgresql.org/docs/").on(3);
        assert_eq!((said.severity, said.row), (Severity::Warning, Some(3)));
        assert_eq!(said.evidence[0].threshold, None);
    }

    #[test]
    fn foreign_text_is_not_filled_in() {
        assert_eq!(plain("a{b}c"), "a{{b}}c");
    }
}
