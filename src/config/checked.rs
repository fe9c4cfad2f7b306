//! The checked config: what the program works with, complete with defaults and free of contradictions.
//!
//! Plain values only. `app` makes sessions, rule sets and channels of them, so that this room knows none of theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::plugins::PluginsConfig;
use crate::deliver::channels::{ChannelSettings, Rate};
use crate::model::{ChannelPolicy, Escalation, Flapping, Inhibition, MaintenanceWindow, Route, RuleOverride, Severity, Silence, Target};
use crate::problem::{Mark, Problem};
use crate::secret::Secret;

/// All that a person configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where state is kept, if the config says so; see `state_dir`.
    pub state_dir: Option<PathBuf>,
    /// Servers under watch, names unique. Empty when a file of classic rules is the whole config.
    pub targets: Vec<TargetConfig>,
    /// When what is collected.
    pub schedule: Schedule,
    /// Which rules run, and how they are changed.
    pub rules: RulesConfig,
    /// Channels by name.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// The routing tree; its root names at least one channel, so no alert is without one.
    pub route: Route,
    /// Dedup window in seconds, anchored at the last delivery; 0 repeats at every tick, `None` never in an episode.
    pub dedup_s: Option<u64>,
    /// A rule that cannot be judged for this long raises one alert about itself, in seconds.
    pub unknown_after_s: u64,
    /// Maintenance windows.
    pub windows: Vec<MaintenanceWindow>,
    /// Silences that were planned; those that people make in passing are in the store.
    pub silences: Vec<Silence>,
    /// Which alerts keep back which others.
    pub inhibitions: Vec<Inhibition>,
    /// Who else is told when an alert goes on; names unique.
    pub escalations: Vec<Escalation>,
    /// When an alert flaps; `None` never asks.
    pub flapping: Option<Flapping>,
    /// Whether channels are told when severity falls.
    pub tell_lowered: bool,
    /// The sign of life, if somebody wants it.
    pub heartbeat: Option<Heartbeat>,
    /// Installed plugins: signatures, limits, grants.
    pub plugins: PluginsConfig,
    /// What is kept, and for how long.
    pub history: History,
    /// How far actions may go.
    pub actions_mode: ActionsMode,
    /// Where things stand in the files, for whoever finds fault with them later.
    pub places: Places,
    /// Secrets of channels that are kept elsewhere, and where it says so.
    pub elsewhere: Vec<(Place, Secret)>,
    /// What matchers and groupings ask for; whether any alert has it only the rules know.
    pub asked: Vec<Asked>,
}

/// A label that alerts are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Where.
    pub place: Place,
    /// Its name.
    pub label: String,
    /// The values that are asked for, where they are written out.
    pub values: Vec<String>,
}

/// A server under watch and how to reach it.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetConfig {
    /// Who it is.
    pub target: Target,
    /// Connection string, URL or keywords, as libpq reads it; a password that stood in it is in `password` instead.
    pub dsn: String,
    /// Login role, where the connection string names none.
    pub user: Option<String>,
    /// Password; `None` leaves it to `~/.pgpass` and the like.
    pub password: Option<Secret>,
    /// One of `SSLMODES`, where the connection string names none.
    pub sslmode: Option<String>,
    /// Root certificates.
    pub sslrootcert: Option<PathBuf>,
    /// Client certificate.
    pub sslcert: Option<PathBuf>,
    /// Key of the client certificate.
    pub sslkey: Option<PathBuf>,
    /// Which databases are looked into.
    pub databases: Databases,
    /// What watching may cost the server.
    pub budget: Budget,
}

/// A channel: what its kind wants to know, and what every channel may say.
#[derive(Debug, Clone)]
pub struct ChannelConfig {
    /// What its kind wants to know.
    pub settings: ChannelSettings,
    /// The channel that is told what this one cannot be told.
    pub fallback: Option<String>,
    /// Most messages that it is sent; `None` leaves it to its kind.
    pub rate: Option<Rate>,
    /// The least severity that it is told of.
    pub severity_at_least: Option<Severity>,
    /// Whether it is told of ends.
    pub resolved: bool,
}

impl ChannelConfig {
    /// A channel of which nothing more is said.
    #[must_use]
    pub fn of(settings: ChannelSettings) -> Self {
        Self { settings, fallback: None, rate: None, severity_at_least: None, resolved: true }
    }

    /// What the deciding knows of it.
    #[must_use]
    pub fn policy(&self) -> ChannelPolicy {
        let traits = self.settings.traits();
        let stateful = traits.is_some_and(|traits| traits.stateful);
        ChannelPolicy {
            stateful,
            reach: traits.map(|traits| traits.reach).unwrap_or_default(),
            resolved: self.resolved || stateful,
            severity_at_least: self.severity_at_least,
        }
    }
}

/// A sign of life at regular times: when it stays away, something is wrong with the watcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who is told.
    pub channel: String,
    /// Seconds between two.
    pub every_s: u64,
    /// The name it goes by at the receiver.
    pub name: String,
}

/// The values of `sslmode`, least strict first.
pub const SSLMODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Which databases of a target are looked into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Databases {
    /// All that may be connected to.
    #[default]
    All,
    /// All that may be connected to, but not these.
    AllExcept(Vec<String>),
    /// Only these.
    Only(Vec<String>),
}

/// What watching may cost a server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Share of one server CPU, in per cent, over a cycle.
    pub server_cpu_pct: f64,
    /// Connections at a time.
    pub connections: u32,
    /// `statement_timeout` in milliseconds.
    pub statement_timeout_ms: u64,
    /// `lock_timeout` in milliseconds.
    pub lock_timeout_ms: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { server_cpu_pct: 0.5, connections: 3, statement_timeout_ms: 5_000, lock_timeout_ms: 100 }
    }
}

/// When what is collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Seconds between ticks; cron cannot do without, since `for` and gaps are judged against it.
    pub every_s: Option<u64>,
    /// Whether targets are asked at different moments of the interval.
    pub spread: bool,
    /// Cadence of single metrics in seconds, by frame name.
    pub collect: BTreeMap<String, u64>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { every_s: None, spread: true, collect: BTreeMap::new() }
    }
}

impl Schedule {
    /// Seconds between ticks of a running service that was told nothing.
    pub const EVERY_S: u64 = 60;

    /// Seconds between ticks.
    #[must_use]
    pub fn every_or_default_s(&self) -> u64 {
        self.every_s.unwrap_or(Self::EVERY_S)
    }
}

/// Which rules run, and how they are changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RulesConfig {
    /// Shipped packs that are on.
    pub packs: BTreeSet<String>,
    /// Rule files of the person's own, in the order of inclusion, each once.
    pub files: Vec<PathBuf>,
    /// Changes by target; the first match wins.
    pub overrides: Vec<RuleOverride>,
}

/// What is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Age limit in seconds.
    pub keep_s: u64,
    /// Size limit of the store in bytes.
    pub max_bytes: u64,
    /// How much of statement texts is kept.
    pub statement_text: StatementText,
}

/// 90 days tell this quarter from the last. 2 GB hold that for a handful of servers at one tick a minute and fit the
/// disk of a small machine unasked; who watches forty servers says so.
impl Default for History {
    fn default() -> Self {
        Self { keep_s: 90 * 86_400, max_bytes: 2 << 30, statement_text: StatementText::Normalized }
    }
}

/// How much of statement texts is kept and shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StatementText {
    /// With `$1` in place of literals.
    #[default]
    Normalized,
    /// Not at all.
    None,
    /// As the server shows them.
    Full,
}

/// How far actions may go. In this version nothing is ever changed on a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ActionsMode {
    /// Findings only.
    Observe,
    /// Findings with advice and its SQL.
    #[default]
    Advise,
}

/// Where a part of the config stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the person named it.
    pub file: String,
    /// Where in it.
    pub at: Mark,
}

impl Place {
    /// An error here.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> Problem {
        Problem::error(self.file.clone(), self.at, message)
    }

    /// A warning here.
    #[must_use]
    pub fn warning(&self, message: impl Into<String>) -> Problem {
        Problem::warning(self.file.clone(), self.at, message)
    }

    /// A note here.
    #[must_use]
    pub fn note(&self, message: impl Into<String>) -> Problem {
        Problem::note(self.file.clone(), self.at, message)
    }
}

/// Places by path: `targets.orders-1`, `schedule.collect.tables`, `rules.override.0`, `windows.weekly-patch`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(pub BTreeMap<String, Place>);

impl Places {
    /// The place of a path; the whole config when the path was not written.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Place> {
        self.0.get(path)
    }
}
