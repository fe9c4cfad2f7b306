//! One look at a server as a person wants it: findings worst first, what could not be told, and the exit code. Pure;
//! `cli` renders it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::alert;
use crate::model::{Alert, Decision, Finding, Outcome, Reading, RuleMeta, RuleOutcome, Severity, Snapshot, Tier};

/// All that `check` saw and decided.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was seen.
    pub snapshot: Arc<Snapshot>,
    /// How each rule ended.
    pub outcomes: Vec<RuleOutcome>,
    /// What was decided, from the stored book if there was one.
    pub decision: Decision,
    /// Where the earlier reading came from.
    pub earlier: Earlier,
    /// Rules that could not be loaded, a line each: they are not among the outcomes, and must not be taken for quiet.
    pub unusable: Vec<String>,
    /// The grant that would show more, by frame; only for frames that `pg_monitor` sees but in part.
    pub grants: BTreeMap<String, String>,
}

/// Where the reading came from that counters are held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Earlier {
    /// A first sample of this run, so many seconds before.
    Sampled(f64),
    /// The stored tick of a running service, so many seconds before.
    Stored(f64),
    /// There was none: counters tell nothing.
    None,
}

/// A finding with its rule and, where the book has one, its alert.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The rule.
    pub meta: &'a RuleMeta,
    /// What it found.
    pub finding: &'a Finding,
    /// The alert it belongs to.
    pub alert: Option<&'a Alert>,
    /// When it was found.
    pub at: DateTime<Utc>,
}

/// A rule that could not tell, and why.
#[derive(Debug, Clone)]
pub struct Blind<'a> {
    /// The rule.
    pub meta: &'a RuleMeta,
    /// Why, in one fragment.
    pub reason: String,
    /// What mends it, where that is known.
    pub remedy: Option<String>,
}

/// What a script reads from the process.
pub mod exit {
    /// Nothing worse than advice.
    pub const OK: u8 = 0;
    /// The worst finding is a warning.
    pub const WARNING: u8 = 1;
    /// The worst finding is critical.
    pub const CRITICAL: u8 = 2;
    /// Could not tell, or could not do what was asked.
    pub const UNKNOWN: u8 = 3;
}

impl Report {
    /// All findings, worst first; pages before tickets before advice.
    #[must_use]
    pub fn rows(&self) -> Vec<Row<'_>> {
        let target = &self.snapshot.target.name;
        let mut rows: Vec<Row<'_>> = Vec::new();
        for outcome in &self.outcomes {
            let Outcome::Ok(evaluation) = &outcome.outcome else { continue };
            rows.extend(evaluation.findings.iter().map(|finding| {
                let fingerprint = alert::fingerprint(&outcome.meta.id, target, &finding.subject);
                Row {
                    meta: &outcome.meta,
                    finding,
                    alert: self.decision.book.alerts.get(&fingerprint).map(AsRef::as_ref),
                    at: self.snapshot.taken_at,
                }
            }));
        }
        rows.sort_by(|a, b| order(a).cmp(&order(b)));
        rows
    }

    /// Rules that could not tell.
    #[must_use]
    pub fn blind(&self) -> Vec<Blind<'_>> {
        let blind = |outcome: &RuleOutcome| match &outcome.outcome {
            Outcome::NoData(inputs) => {
                let remedy = inputs.iter().find_map(|(_, missing)| missing.remedy.clone());
                Some((outcome.outcome.reason(), remedy))
            }
            Outcome::Error(message) => Some((message.clone(), None)),
            Outcome::Ok(evaluation) if evaluation.unknown > 0 => {
                let from = outcome.meta.from.as_deref().unwrap_or_default();
                let grant = self.grants.get(from)?;
                Some((format!("{} of {from} hold values that the role may not see", evaluation.unknown), Some(grant.clone())))
            }
            Outcome::Ok(_) | Outcome::Skipped(_) => None,
        };
        self.outcomes
            .iter()
            .filter_map(|outcome| blind(outcome).map(|(reason, remedy)| Blind { meta: &outcome.meta, reason, remedy }))
            .collect()
    }

    /// Databases that could not be entered, with the reason: what is in them was not looked at.
    #[must_use]
    pub fn closed(&self) -> BTreeMap<&str, &str> {
        let frames = self.snapshot.frames.values().filter_map(Reading::frame);
        frames.flat_map(|frame| &frame.coverage.without_databases).map(|(name, why)| (name.as_str(), why.as_str())).collect()
    }

    /// Number of rules that came to an end without a finding.
    #[must_use]
    pub fn quiet(&self) -> usize {
        self.outcomes.iter().filter(|o| matches!(&o.outcome, Outcome::Ok(evaluation) if evaluation.findings.is_empty())).count()
    }

    /// Whether the server answered.
    #[must_use]
    pub fn reached(&self) -> bool {
        self.snapshot.server.is_some()
    }

    /// The worst severity wins; when nothing fired, not having been able to tell counts.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.rows().first().map(|row| row.finding.severity) {
            Some(Severity::Critical) => exit::CRITICAL,
            Some(Severity::Warning) => exit::WARNING,
            _ if !self.reached() || !self.unusable.is_empty() || self.blind().iter().any(|b| b.meta.tier == Tier::Page) => exit::UNKNOWN,
            _ => exit::OK,
        }
    }

    /// The report with only the rules of one tier.
    #[must_use]
    pub fn only(mut self, tier: Tier) -> Self {
        self.outcomes.retain(|outcome| outcome.meta.tier == tier);
        self
    }
}

fn order<'a>(row: &Row<'a>) -> (std::cmp::Reverse<Severity>, Tier, &'a str, String) {
    (std::cmp::Reverse(row.finding.severity), row.meta.tier, &row.meta.id, row.finding.subject.to_string())
}
