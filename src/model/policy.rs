//! What a person wants of the deciding: routes, maintenance windows, overrides. Checked by `config`, read by `alert` and
//! `rules`; serialisable, because a tick file holds all that a tick decided from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Matchers, SettingValue, Severity, Silence, Target};
use crate::calendar::Window;
use crate::problem::Mark;

/// A node of the routing tree. The first child that matches takes the alert, unless it says to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// What it takes.
    #[serde(default)]
    pub matchers: Matchers,
    /// Channel names; inherited from the parent when empty.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Seconds between repeats on these channels; inherited when `None`.
    #[serde(default)]
    pub repeat_s: Option<u64>,
    /// Labels whose values make a group: what has the same is told together. Inherited when `None`; `Some` of an empty list
    /// tells all of the route together. Where no ancestor says, every alert is told by itself.
    #[serde(default)]
    pub group_by: Option<Vec<String>>,
    /// Seconds that the first notice of a group waits for others; inherited, 0 where nobody says.
    #[serde(default)]
    pub wait_s: Option<u64>,
    /// Seconds between two messages about one group; inherited, 0 where nobody says.
    #[serde(default)]
    pub interval_s: Option<u64>,
    /// Whether the siblings after it are asked too.
    #[serde(default)]
    pub go_on: bool,
    /// Children.
    #[serde(default)]
    pub routes: Vec<Route>,
}

/// A time in which notices of matching alerts are kept back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceWindow {
    /// Its name, shown in reasons.
    pub name: String,
    /// Which alerts.
    #[serde(default)]
    pub matchers: Matchers,
    /// When.
    pub window: Window,
}

/// While an alert that matches `source` fires, notices of alerts that match `target` are kept back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inhibition {
    /// Its name, shown in reasons.
    pub name: String,
    /// What keeps back, while it is firing or recovering.
    pub source: Matchers,
    /// What is kept back.
    pub target: Matchers,
    /// Labels whose values must be the same in both; one that is missing equals an empty one.
    #[serde(default)]
    pub equal: Vec<String>,
}

/// Who else is told when an alert goes on and nobody has acknowledged it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    /// Its name, shown in reasons.
    pub name: String,
    /// Which alerts.
    pub matchers: Matchers,
    /// Steps by their delay.
    pub steps: Vec<EscalationStep>,
    /// Whether an acknowledgement stops it.
    pub unless_acked: bool,
}

/// One step of an escalation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EscalationStep {
    /// Seconds since the first delivered notice of the episode; time in which notices were kept back does not count.
    pub after_s: u64,
    /// Who is told then.
    pub channels: Vec<String>,
}

/// How far a channel reaches into somebody's day. What a rule's `action` word may use follows from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Writes down: nobody is disturbed.
    Record,
    /// Tells people.
    #[default]
    Tell,
    /// Wakes somebody.
    Page,
}

/// What the deciding knows of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelPolicy {
    /// Whether it keeps incidents open until it hears of the end: then the end is always told.
    pub stateful: bool,
    /// How far it reaches.
    pub reach: Reach,
    /// Whether it is told of the end; always true where `stateful`.
    pub resolved: bool,
    /// The least severity that it is told of.
    pub severity_at_least: Option<Severity>,
}

impl ChannelPolicy {
    /// Of a channel that nothing is known of.
    pub const DEFAULT: Self = Self { stateful: false, reach: Reach::Tell, resolved: true, severity_at_least: None };
}

impl Default for ChannelPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// When an alert counts as flapping: the weighted share of changes among its last evaluations, in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Flapping {
    /// Above this it begins to flap.
    pub enter_pct: f64,
    /// Below this it has settled.
    pub leave_pct: f64,
}

impl Default for Flapping {
    /// Between what Icinga (30 and 25) and Sensu's examples (60 and 20) use.
    fn default() -> Self {
        Self { enter_pct: 50.0, leave_pct: 25.0 }
    }
}

/// All that `alert::decide` is configured with for one target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DecideConfig {
    /// The target.
    pub target: Target,
    /// How far apart ticks are meant to be, in seconds: what `for` and gaps are judged against.
    pub every_s: u64,
    /// Dedup window in seconds, anchored at the last delivery; `None` repeats nothing until the episode ends.
    pub dedup_s: Option<u64>,
    /// A rule that cannot be judged for this long raises one alert about itself, in seconds.
    pub unknown_after_s: u64,
    /// Windows.
    pub windows: Vec<MaintenanceWindow>,
    /// Routing tree.
    pub route: Route,
    /// Silences that stand in the config; those of the store are in the book.
    #[serde(default)]
    pub silences: Vec<Silence>,
    /// Inhibitions.
    #[serde(default)]
    pub inhibitions: Vec<Inhibition>,
    /// Escalations; every one that matches is followed.
    #[serde(default)]
    pub escalations: Vec<Escalation>,
    /// When an alert flaps; `None` never asks.
    #[serde(default)]
    pub flapping: Option<Flapping>,
    /// Whether channels are told when severity falls.
    #[serde(default)]
    pub tell_lowered: bool,
    /// Channels by name; one that is not here is as `ChannelPolicy::default` says.
    #[serde(default)]
    pub channels: BTreeMap<String, ChannelPolicy>,
}

/// A change to rules on matching targets; the first match wins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleOverride {
    /// Which targets: `target`, `cluster` and the target's labels.
    #[serde(default)]
    pub matchers: Matchers,
    /// Which rule; `None` for all.
    pub rule: Option<String>,
    /// Switches it on or off.
    pub enabled: Option<bool>,
    /// Settings, in base units.
    #[serde(default)]
    pub settings: BTreeMap<String, SettingValue>,
    /// Findings are lowered to this severity.
    pub severity_at_most: Option<Severity>,
    /// Why, for whoever reads it later.
    pub why: Option<String>,
    /// Where it stands in the config, for messages.
    #[serde(skip)]
    pub at: Option<Mark>,
}
