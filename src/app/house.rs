//! What a running pgsteward consists of, built from a checked config: targets, rules, metrics, channels, store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::turn::Wishes;
use crate::clock::Clock;
use crate::collect::{Budget, Databases, Endpoint};
use crate::config::{Heartbeat, StatementText};
use crate::deliver::{Line, Post};
use crate::model::{DecideConfig, Metric, Target};
use crate::rules::RuleSet;
use crate::store::Store;

/// One target and how to watch it.
#[derive(Debug)]
pub struct Watch {
    /// Who.
    pub target: Target,
    /// How to reach it.
    pub endpoint: Endpoint,
    /// Which of its databases.
    pub databases: Databases,
    /// What collecting may cost it.
    pub budget: Budget,
    /// What is wanted of the evaluating.
    pub wishes: Wishes,
    /// What is wanted of the deciding.
    pub decide: DecideConfig,
    /// Collects every metric at every tick, whatever its cadence.
    pub all_due: bool,
    /// How much of statement texts is kept and shown.
    pub statement_text: StatementText,
}

/// The store as tasks share it. Never held across an await: each use is one short call.
#[derive(Clone)]
pub struct SharedStore(pub Arc<Mutex<Store>>);

impl SharedStore {
    /// Shares a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Mutex::new(store)))
    }

    /// The store, for one short call. A panic elsewhere has left at most a transaction that was rolled back.
    pub fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl House {
    /// Who delivers.
    #[must_use]
    pub fn post(&self) -> Post<'_> {
        Post { store: &self.store.0, lines: &self.channels, owner: &self.owner, clock: &self.clock, seed: self.seed }
    }
}

/// All parts of a running pgsteward.
pub struct House {
    /// Time.
    pub clock: Clock,
    /// State.
    pub store: SharedStore,
    /// Rules.
    pub rules: Arc<RuleSet>,
    /// Metrics, shipped and brought by rules.
    pub metrics: Arc<Vec<Metric>>,
    /// Channels by name.
    pub channels: BTreeMap<String, Line>,
    /// Targets.
    pub watches: Vec<Watch>,
    /// Targets that are not watched, and why: their secrets cannot be read.
    pub unusable: Vec<(String, String)>,
    /// Since when it stands.
    pub since: DateTime<Utc>,
    /// What is wanted of the deciding about ourselves.
    pub own: DecideConfig,
    /// The sign of life, if one is wanted.
    pub heartbeat: Option<Heartbeat>,
    /// This process, in leases: process id and start.
    pub owner: String,
    /// Seed of the jitter between attempts.
    pub seed: u64,
    /// Where other programs look how we are, if anywhere.
    pub status_file: Option<PathBuf>,
    /// Rung when a tick has been committed.
    pub announced: Notify,
    /// Whether targets are spread over the interval.
    pub spread: bool,
    /// How long history is kept, in seconds.
    pub keep_s: u64,
    /// How large it may grow, in bytes.
    pub max_bytes: u64,
}
