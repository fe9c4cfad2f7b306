//! Config: what a person wrote, checked. Files become a tree that knows its places, each section reads its part of it,
//! and either a `Config` comes out or all problems at once, each at its line and column.
//!
//! One file a section of the config; `source` reads files, `load` puts the sections together, `checked` is the result.
//! Rules are only found here and read by `rules`; plain values are made into sessions and channels by `app`. There is
//! no templating and no environment in values: a secret says itself where it comes from.

mod actions;
mod alerts;
mod asked;
mod budget;
mod channels;
mod checked;
mod classic;
mod desk;
mod dsn;
mod escalation;
mod example;
mod heartbeat;
mod history;
mod inhibit;
mod load;
mod mask;
mod matchers;
mod notes;
mod password;
mod plugins;
mod routes;
mod rules;
mod schedule;
mod silences;
mod source;
mod state_dir;
mod targets;
#[cfg(test)]
mod testing;
mod windows;

pub use alerts::DEDUP_S;
pub use checked::{
    ActionsMode, Asked, Budget, ChannelConfig, Config, Databases, Heartbeat, History, Place, Places, RulesConfig, SSLMODES, Schedule,
    StatementText, TargetConfig,
};
pub use example::EXAMPLE;
pub use load::{Loaded, check, load};
pub use notes::{Around, OCCURRENCES_HEADER, check_notes, machine_zone, occurrences};
pub use plugins::{PluginConfig, PluginsConfig};
pub use rules::PACKS;
pub use source::{Source, SourceFile, read};
pub use state_dir::{StateDirError, state_dir};
