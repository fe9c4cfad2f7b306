//! What keeps notices back. ONE FILE A REASON, asked in the order of the list; the first that holds is the one shown.
//!
//! Suppression stops notices only: states, history and the end of what was told go on.

mod inhibition;
mod maintenance_window;
mod silence;

use chrono::{DateTime, Utc};

use super::facts::Facts;
use crate::model::{Book, DecideConfig, Reason};
pub(super) use inhibition::Sources;
pub(super) use maintenance_window::open as open_windows;

/// Something that keeps an alert's notices back.
pub(super) struct Suppression {
    /// Kind and name: `window weekly-patch`.
    pub by: String,
    /// As shown to people.
    pub reason: Reason,
}

/// What the reasons are found in.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub config: &'a DecideConfig,
    pub book: &'a Book,
    /// Alerts that inhibit others, as they stand in this evaluation.
    pub sources: &'a Sources,
    /// The windows that are open now, each with its end.
    pub open: &'a [maintenance_window::Open<'a>],
    pub now: DateTime<Utc>,
}

type Check = fn(&Facts<'_>, &Scene<'_>, DateTime<Utc>) -> Option<Suppression>;

const REASONS: [Check; 3] = [inhibition::keeps_back, maintenance_window::keeps_back, silence::keeps_back];

/// What keeps an alert's notices back at a time, if anything. Of a time before the tick only what is bound to times is known.
pub(super) fn keeps_back(facts: &Facts<'_>, scene: &Scene<'_>, at: DateTime<Utc>) -> Option<Suppression> {
    REASONS.iter().find_map(|check| check(facts, scene, at))
}
