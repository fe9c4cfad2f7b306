//! What a rule reports about one subject. Identity stands in `subject`, measured values in `evidence`.

use serde::{Deserialize, Serialize};

use super::{ActionRequest, Labels, Severity, Unit};

/// One measured fact beside the limit it was held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// `frame.column`, or the name that the rule gave to a computed value.
    pub metric: String,
    /// What was measured; `None` (JSON `null`) when unknown.
    pub value: Option<f64>,
    /// The limit, where there is one.
    pub threshold: Option<f64>,
    /// Unit of both.
    pub unit: Unit,
}

/// A page to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it is.
    pub title: String,
    /// Where it is.
    pub url: String,
}

/// One problem of one subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Who it is about; empty for the whole server.
    pub subject: Labels,
    /// How bad.
    pub severity: Severity,
    /// One line, with the numbers that matter.
    pub summary: String,
    /// More for who looks closer; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The measured facts.
    pub evidence: Vec<Evidence>,
    /// What could be done about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionRequest>,
    /// Where to read on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}
