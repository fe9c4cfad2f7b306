//! What a person wants of the deciding: routes, maintenance windows, overrides. Checked by `config`, read by `alert` and
//! `rules`; serialisable, because a tick file holds all that a tick decided from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Labels, SettingValue, Severity, Target};
use crate::calendar::Window;
use crate::problem::Mark;

/// Label values that must be there, by name; several values mean any of them. Empty matches everything.
///
/// Beside an alert's own labels the names `severity`, `rule`, `target`, `tier`, `category` and `cluster` match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Matchers(pub BTreeMap<String, Vec<String>>);

impl Matchers {
    /// Whether all names match.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(name, any)| labels.get(name).is_some_and(|value| any.iter().any(|v| v == value)))
    }
}

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

/// All that `alert::decide` is configured with for one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
