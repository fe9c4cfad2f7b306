//! The kinds of channels: ONE FILE A KIND and its line in `KINDS`. Config, listings and the contract suite follow.

mod console;
#[cfg(test)]
mod contract;
mod log;

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::render::Look;
use super::{Channel, SendError};
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
    /// Takes the kind's own keys from a channel's map in that file and notes what is wrong with them.
    pub settings: fn(file: &str, fields: &mut Fields<'_>) -> Option<ChannelSettings>,
}

/// All kinds.
pub const KINDS: &[&ChannelKind] = &[&console::KIND, &log::KIND];

/// Checked settings of one channel. They are shown and compared, so a secret in them must serialise as its reference.
#[derive(Clone)]
pub struct ChannelSettings(Arc<dyn Settings>);

/// What the settings of a kind can do.
trait Settings: Send + Sync {
    fn kind(&self) -> &'static str;
    fn json(&self) -> serde_json::Value;
    fn build(&self, name: &str, terminal: &Terminal) -> Box<dyn Channel>;
}

impl ChannelSettings {
    /// The kind's name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.0.kind()
    }

    /// The channel of that name. Opens nothing yet; `terminal` is for kinds that write to one.
    #[must_use]
    pub fn build(&self, name: &str, terminal: &Terminal) -> Box<dyn Channel> {
        self.0.build(name, terminal)
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

impl PartialEq for ChannelSettings {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.0.json() == other.0.json()
    }
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
