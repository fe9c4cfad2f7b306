//! The embedded store: one file in the state folder, nothing to install.
//!
//! What a tick decided is committed in ONE transaction, snapshot and notices included: a crash before it means that the
//! tick never happened, after it the outbox rows wait. One process at a time looks after a target (its lease); a commit
//! names the version of the book it was decided from, and is refused when another came first. Other processes read
//! beside a writer and write in short transactions of their own.
//!
//! Calls are synchronous and short. `deliver` drains the outbox, `app` does the rest. Deliberately absent: anything of
//! the engine underneath in a signature, so that the same contract can stand over PostgreSQL; and any deciding.

mod ack;
mod book;
mod cache;
mod channel;
mod codec;
mod episode;
mod error;
#[cfg(test)]
mod fail_points;
mod history;
mod lease;
mod look;
mod migrations;
mod open;
mod outbox;
mod retention;
mod ruling;
mod series;
mod silence;
#[cfg(test)]
pub(crate) mod testing;
mod tick;

pub use channel::ChannelState;
pub use episode::{EpisodeFilter, EpisodeSummary, SeenAlert};
pub use error::StoreError;
pub use history::{Choice, NoticeState, Proposal, SentNotice, TargetState};
pub use outbox::{AttemptOutcome, Batch, ChannelCounts, DeadFilter, LeaseRequest, OutboxRow};
pub use retention::Pruned;
pub use ruling::{Ruling, Verdict};
pub use series::Series;
pub use tick::{OutcomeSummary, TickCommit};

use std::cell::RefCell;

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// An open store.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    cache: RefCell<cache::Cache>,
}

impl Store {
    fn over(db: Connection) -> Self {
        Self { db, cache: RefCell::default() }
    }

    /// A transaction that writes. It takes the write lock at once, so that what it checks still holds when it writes.
    fn write(&mut self) -> Result<Transaction<'_>, StoreError> {
        Ok(self.db.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// A view that does not change while several things are read from it.
    fn read(&self) -> Result<Transaction<'_>, StoreError> {
        Ok(self.db.unchecked_transaction()?)
    }
}
