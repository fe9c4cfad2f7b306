//! What keeps notices back. ONE FILE A REASON, asked in the order of the list; the first that holds is the one shown.
//!
//! Suppression stops notices only: states, history and the end of what was told go on.

mod maintenance_window;

use chrono::{DateTime, Utc};

use super::facts::Facts;
use crate::model::{DecideConfig, Reason};

/// Something that keeps an alert's notices back.
pub(super) struct Suppression {
    /// Kind and name: `window weekly-patch`.
    pub by: String,
    /// As shown to people.
    pub reason: Reason,
}

type Check = fn(&Facts<'_>, &DecideConfig, DateTime<Utc>) -> Option<Suppression>;

const REASONS: [Check; 1] = [maintenance_window::keeps_back];

/// What keeps an alert's notices back at a time, if anything.
pub(super) fn keeps_back(facts: &Facts<'_>, config: &DecideConfig, at: DateTime<Utc>) -> Option<Suppression> {
    REASONS.iter().find_map(|check| check(facts, config, at))
}
