//! What a rule declares, what it is given and what it answers. The trait itself lives in `rules`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Changes, Finding, Frame, Labels, Missing, Severity, Snapshot, Unit};

/// How urgent the rule's findings are for a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Wakes somebody.
    Page,
    /// Waits for working hours.
    Ticket,
    /// Stands in the report.
    #[default]
    Advice,
}

impl Tier {
    /// All tiers, most urgent first.
    pub const ALL: [Self; 3] = [Self::Page, Self::Ticket, Self::Advice];

    /// The word used in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
            Self::Advice => "advice",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// At which time an input is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// The latest reading.
    Now,
    /// The reading before it.
    Previous,
    /// Change per second of a counter over the frame's own interval.
    Rate,
    /// Change over a window, in seconds.
    Delta(u64),
    /// The value a window ago, in seconds.
    Ago(u64),
}

/// One input of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Input {
    /// Frame name.
    pub frame: String,
    /// Column name; `None` when the rule asks only whether the frame is there or how many rows it has.
    pub column: Option<String>,
    /// When it is read.
    pub moment: Moment,
    /// Whether the rule can do without the frame.
    pub optional: bool,
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.column.as_ref().map_or(self.frame.clone(), |column| format!("{}.{column}", self.frame));
        match self.moment {
            Moment::Now => write!(f, "{name}"),
            Moment::Previous => write!(f, "prev({name})"),
            Moment::Rate => write!(f, "rate({name})"),
            Moment::Delta(s) => write!(f, "delta({name}, {})", pgsteward_helpers::span(s as f64)),
            Moment::Ago(s) => write!(f, "ago({name}, {})", pgsteward_helpers::span(s as f64)),
        }
    }
}

/// The value of a setting. Numbers are in the setting's base unit (bytes, seconds, ...).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SettingValue {
    /// True or false.
    Flag(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// A setting that a rule declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettingDef {
    /// Name as the rule reads it.
    pub name: String,
    /// Value when nobody sets it; its variant is the setting's type.
    pub default: SettingValue,
    /// Smallest and largest legal number.
    pub range: Option<(f64, f64)>,
    /// Unit of the number.
    pub unit: Unit,
    /// One line.
    pub doc: String,
}

/// Checked settings of one rule for one target, complete with defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(pub BTreeMap<String, SettingValue>);

impl Settings {
    /// A number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.0.get(name)? {
            SettingValue::Number(value) => Some(*value),
            _ => None,
        }
    }
}

/// What a rule declares of itself, whatever it is written in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleMeta {
    /// Stable id, declared and never derived from a path; part of every fingerprint.
    pub id: String,
    /// The problem, in one fragment.
    pub title: String,
    /// Area: `vacuum`, `locks`, ...
    pub category: String,
    /// How urgent.
    pub tier: Tier,
    /// The pack that switches it on: `page`, `ticket`, `advice`, `classic`, or `own` for the user's.
    pub pack: String,
    /// Whether it is on unless the config says otherwise.
    pub enabled: bool,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// The frame whose rows are its subjects; `None` for a rule about the whole server.
    pub from: Option<String>,
    /// The settings it declares.
    pub settings: Vec<SettingDef>,
    /// How long a finding must last before it fires, in seconds.
    pub for_s: u64,
    /// How long it stays firing after the finding is gone, in seconds.
    pub keep_firing_for_s: u64,
    /// How often it is evaluated at most, in seconds; 0 at every tick.
    pub interval_s: u64,
    /// Labels for routing; never part of the identity.
    pub labels: Labels,
    /// Channels that it names itself; routes decide when empty.
    pub channels: Vec<String>,
    /// What to do, for a person: why, do, false alarms, see.
    pub runbook: String,
    /// What its data being absent means: `false` holds (the default), `true` fires one finding.
    pub fire_when_missing: bool,
    /// Which engine runs it: `classic`, `rich`, `rhai`.
    pub engine: String,
    /// The file it came from, as shown to people.
    pub source: String,
    /// SHA-256 of the text it came from, hex.
    pub hash: String,
}

/// All that a rule may see. Shared, frozen, without clock or IO.
#[derive(Debug, Clone)]
pub struct RuleInput {
    /// The tick's time.
    pub now: DateTime<Utc>,
    /// The frames.
    pub snapshot: Arc<Snapshot>,
    /// What counters did since the previous reading of each frame.
    pub changes: Arc<Changes>,
    /// Frames as they were a window (in seconds) ago, for each window that some rule declares; a window older than the
    /// history is not there.
    pub past: Arc<BTreeMap<u64, BTreeMap<String, Arc<Frame>>>>,
    /// Subjects of this rule that are firing or recovering: for hysteresis.
    pub firing: Arc<Vec<Labels>>,
    /// Subjects of this rule with any alert, pending included: what may have to be held.
    pub active: Arc<Vec<Labels>>,
    /// This rule's settings for this target.
    pub settings: Arc<Settings>,
}

/// A subject that could not be judged; its alert keeps its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Who.
    pub subject: Labels,
    /// Why, in one fragment: `tables.vacuum_trigger is unknown`.
    pub reason: String,
}

/// What an evaluation that came to an end says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Problems found.
    pub findings: Vec<Finding>,
    /// Which of `RuleInput::active` could not be judged.
    pub held: Vec<Held>,
    /// Rows in all that could not be judged, with or without an alert.
    pub unknown: usize,
}

/// How the evaluation of one rule ended. Only `Ok` may resolve anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It came to an end.
    Ok(Evaluation),
    /// A required input is not there: which, and why.
    NoData(Vec<(String, Missing)>),
    /// The rule failed: message with position.
    Error(String),
    /// It was not evaluated: not due, disabled, not for this server.
    Skipped(String),
}

impl Outcome {
    /// How the reason of `Skipped` begins for a rule whose interval is not over: its alerts are as they were.
    pub const NOT_DUE: &'static str = "not due";
    /// How it begins for a rule that somebody has switched off, by itself or with its pack: its alerts are over. After any
    /// other reason they are held.
    pub const DISABLED: &'static str = "disabled";

    /// Whether somebody has switched the rule off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        matches!(self, Self::Skipped(reason) if reason.starts_with(Self::DISABLED))
    }

    /// The word used in JSON and lists.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::NoData(_) => "no_data",
            Self::Error(_) => "error",
            Self::Skipped(_) => "skipped",
        }
    }

    /// Why it did not come to an end; empty for `Ok`.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Ok(_) => String::new(),
            Self::NoData(inputs) => {
                inputs.iter().map(|(name, missing)| format!("{name}: {}", missing.detail)).collect::<Vec<_>>().join("; ")
            }
            Self::Error(message) | Self::Skipped(message) => message.clone(),
        }
    }
}

/// One rule's outcome in one tick, with what `decide` needs to know of the rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleOutcome {
    /// The rule.
    #[serde(with = "shared_meta")]
    pub meta: Arc<RuleMeta>,
    /// How it ended.
    pub outcome: Outcome,
}

impl RuleMeta {
    /// The severity used where a rule has only a tier to go by.
    #[must_use]
    pub fn default_severity(&self) -> Severity {
        match self.tier {
            Tier::Page => Severity::Critical,
            Tier::Ticket => Severity::Warning,
            Tier::Advice => Severity::Info,
        }
    }
}

mod shared_meta {
    use super::{Arc, Deserialize, RuleMeta};
    use serde::{Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(meta: &Arc<RuleMeta>, ser: S) -> Result<S::Ok, S::Error> {
        meta.as_ref().serialize(ser)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Arc<RuleMeta>, D::Error> {
        RuleMeta::deserialize(de).map(Arc::new)
    }
}
