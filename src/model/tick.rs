//! A tick file: all that one tick decided from, and what it decided. Replaying it must give the same bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Book, Decision, Frame, RuleOutcome, Snapshot};

/// One recorded turn of the flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Version of this file form; see `Tick::FORM`.
    pub form: u32,
    /// The build that wrote it.
    pub build: String,
    /// What was seen.
    pub snapshot: Snapshot,
    /// The reading before the one in the snapshot, for each frame that has one.
    pub previous: BTreeMap<String, Frame>,
    /// Frames a window (in seconds) ago, for each window that some rule declares.
    pub past: BTreeMap<u64, BTreeMap<String, Frame>>,
    /// The book before the tick.
    pub book: Book,
    /// SHA-256 of everything `decide` was configured with, and that text itself (JSON).
    pub config_hash: String,
    /// The decide configuration, as JSON.
    pub config: serde_json::Value,
    /// Hash of each rule that was evaluated, by id: replay refuses rules that have changed.
    pub rules: BTreeMap<String, String>,
    /// How each rule ended.
    pub outcomes: Vec<RuleOutcome>,
    /// What was decided.
    pub decision: Decision,
}

impl Tick {
    /// The form that this build writes and reads.
    pub const FORM: u32 = 1;

    /// The earlier readings, shared.
    #[must_use]
    pub fn previous_frames(&self) -> BTreeMap<String, Arc<Frame>> {
        self.previous.iter().map(|(name, frame)| (name.clone(), Arc::new(frame.clone()))).collect()
    }
}
