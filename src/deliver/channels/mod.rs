//! The kinds of channels: ONE FILE A KIND and its line in `KINDS`. Config, listings and the contract suite follow.

mod alertmanager;
mod console;
#[cfg(test)]
mod contract;
mod discord;
mod email;
mod exec;
mod log;
mod pagerduty;
mod slack;
mod teams;
mod webhook;

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::render::Look;
use super::{Channel, SendError};
use crate::env::Env;
use crate::model::Reach;
use crate::yaml::Fields;

/// One kind of channel.
#[derive(Debug)]
pub struct ChannelKind {
    /// Its name, the value of `kind` in the config.
    pub name: &'static str,
    /// One line: what it does.
    pub doc: &'static str,
    /// A complete setting in YAML.
    pub example: &'static str,
    /// What all channels of the kind have in common.
    pub traits: Traits,
    /// What to do, and by which settings, when its receiver does not know us; empty for a kind that asks nobody.
    pub refused: &'static str,
    /// Takes the kind's own keys from a channel's map in that file and notes what is wrong with them.
    pub settings: fn(file: &str, fields: &mut Fields<'_>) -> Option<ChannelSettings>,
}

/// What is true of every channel of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Traits {
    /// Whether the receiver keeps incidents open until it hears of the end.
    pub stateful: bool,
    /// How far it reaches into somebody's day.
    pub reach: Reach,
    /// Most notices in one message; 1 for receivers that know single alerts only.
    pub most: usize,
    /// Whether a digest makes sense to the receiver; otherwise what is over the rate waits.
    pub digest: bool,
    /// Messages that its receiver takes where the config does not say.
    pub rate: Option<Rate>,
    /// Whether it draws how measured facts went.
    pub draws: bool,
}

/// At most so many messages in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// Messages.
    pub count: u32,
    /// Seconds.
    pub per_s: u32,
}

impl fmt::Display for Rate {
    /// As a config writes it: `30/1m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, pgsteward_helpers::span(f64::from(self.per_s)))
    }
}

/// All kinds.
pub const KINDS: &[&ChannelKind] = &[
    &alertmanager::KIND,
    &console::KIND,
    &discord::KIND,
    &email::KIND,
    &exec::KIND,
    &log::KIND,
    &pagerduty::KIND,
    &slack::KIND,
    &teams::KIND,
    &webhook::KIND,
];

/// Checked settings of one channel. They are shown, so a secret in them must serialise as its reference. They are not
/// compared: a reload builds every channel anew, so that a secret that alone was changed counts.
#[derive(Clone)]
pub struct ChannelSettings(Arc<dyn Settings>);

/// What the settings of a kind can do.
trait Settings: Send + Sync {
    fn kind(&self) -> &'static str;
    fn json(&self) -> serde_json::Value;
    /// What may be wrong with them, seen from this machine.
    fn doubts(&self, _env: &Env) -> Vec<Doubt> {
        Vec::new()
    }
    fn build(&self, name: &str, means: &Means) -> Box<dyn Channel>;
}

/// A setting that would not work here, and may be right where the service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The setting.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What mends it.
    pub hint: String,
}

impl ChannelSettings {
    /// The kind's name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.0.kind()
    }

    /// The kind.
    #[must_use]
    pub fn traits(&self) -> Option<&'static Traits> {
        KINDS.iter().find(|kind| kind.name == self.kind()).map(|kind| &kind.traits)
    }

    /// What may be wrong with them, seen from this machine. Runs no command.
    #[must_use]
    pub fn doubts(&self, env: &Env) -> Vec<Doubt> {
        self.0.doubts(env)
    }

    /// The channel of that name. Opens nothing and reads no secret yet.
    #[must_use]
    pub fn build(&self, name: &str, means: &Means) -> Box<dyn Channel> {
        self.0.build(name, means)
    }
}

impl Serialize for ChannelSettings {
    fn serialize<S: serde::Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        let mut json = self.0.json();
        if let Some(map) = json.as_object_mut() {
            map.insert("kind".into(), self.kind().into());
        }
        json.serialize(ser)
    }
}

impl fmt::Debug for ChannelSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.0.json())
    }
}

/// What channels are built with.
#[derive(Clone)]
pub struct Means {
    /// For kinds that write to a terminal.
    pub terminal: Terminal,
    /// Where secrets and proxies may be.
    pub env: Env,
}

/// Where people read, and how.
#[derive(Clone)]
pub struct Terminal {
    /// What is written to; shared, so that whole notices never mix.
    pub writer: Arc<Mutex<dyn Write + Send>>,
    /// Colours and width.
    pub look: Look,
}

impl Terminal {
    /// A terminal without colours, 100 columns wide.
    #[must_use]
    pub fn plain(writer: Arc<Mutex<dyn Write + Send>>) -> Self {
        Self { writer, look: Look { colour: false, width: 100 } }
    }
}

/// Runs what blocks (files, pipes) beside the runtime, so that a timeout can end the wait for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, SendError> + Send + 'static) -> Result<T, SendError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(SendError::retryable("writing was broken off")),
    }
}
