//! Draining the outbox: each channel has its turn, all at the same time, so that one that hangs never blocks another.
//!
//! Nothing is lost when it is stopped at any point: what was leased is tried again later, under the same key. A notice
//! whose channel left the config is given up with that reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::Line;
use super::turn::Turn;
use crate::clock::Clock;
use crate::store::{Store, StoreError};

/// Rounds of one drain: what a channel hands over, its fallback is told in the next.
const ROUNDS: usize = 4;

/// Who delivers, from where, through what.
#[derive(Clone, Copy)]
pub struct Post<'a> {
    /// Where the outbox is.
    pub store: &'a Mutex<Store>,
    /// Channels by name.
    pub lines: &'a BTreeMap<String, Line>,
    /// This process, in leases.
    pub owner: &'a str,
    /// Time.
    pub clock: &'a Clock,
    /// Spreads the retries of several senders.
    pub seed: u64,
}

/// How much one drain may do.
#[derive(Debug, Clone, Copy)]
pub struct DrainBudget {
    /// Most notices that each channel tries, about.
    pub rows: usize,
    /// No send begins after this.
    pub time: Duration,
}

/// What one drain did.
#[derive(Debug, Default)]
pub struct DrainReport {
    /// Notices that a channel took.
    pub delivered: usize,
    /// Attempts that failed and are made again.
    pub retried: usize,
    /// Notices given up.
    pub dead: usize,
    /// Notices handed to a fallback, those given up included.
    pub handed: usize,
    /// Attempts that took longer than their lease, so that another sender has, or had, the row.
    pub lost: usize,
    /// The latest error of each channel that had one.
    pub failed: BTreeMap<String, String>,
    /// Channels whose login was refused.
    pub paused: BTreeSet<String>,
    /// What the store could not do; the rows concerned are sent again.
    pub errors: Vec<StoreError>,
}

impl DrainReport {
    fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.retried += other.retried;
        self.dead += other.dead;
        self.handed += other.handed;
        self.lost += other.lost;
        self.failed.extend(other.failed);
        self.paused.extend(other.paused);
        self.errors.extend(other.errors);
    }
}

impl Post<'_> {
    /// Tells what is due.
    pub async fn drain(&self, budget: DrainBudget) -> DrainReport {
        let mut report = DrainReport::default();
        let until = Instant::now() + budget.time;
        for _ in 0..ROUNDS {
            let handed = report.handed;
            match self.due() {
                Ok(due) => {
                    let turns = due.iter().map(|name| Turn { post: self, name, rows: budget.rows, until }.run());
                    join_all(turns).await.into_iter().for_each(|of_channel| report.add(of_channel));
                }
                Err(error) => report.errors.push(error),
            }
            if report.handed == handed {
                break;
            }
        }
        report
    }

    /// One channel's turn, beside those of others.
    pub async fn turn(&self, name: &str, budget: DrainBudget) -> DrainReport {
        Turn { post: self, name, rows: budget.rows, until: Instant::now() + budget.time }.run().await
    }

    /// Channels for which something is due.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn due(&self) -> Result<Vec<String>, StoreError> {
        with(self.store, |store| store.due_channels(self.clock.now()))
    }
}

pub(super) fn with<T>(store: &Mutex<Store>, work: impl FnOnce(&mut Store) -> T) -> T {
    work(&mut store.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests;
