//! The delivery loop of the service: each channel has at most one turn at a time, and none waits for another's.
//!
//! It wakes when a tick has committed, when a turn has ended, when a notice is due, and now and then for what another
//! process has put into the outbox. A channel whose turn could do nothing (it rests, is paused, or has used up its rate) has
//! no other before that. The status file is written here, at most once a second and
//! at least once a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{RwLock, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::house::{House, SharedStore};
use super::status;
use super::tick::is_dead;
use super::withdraw::withdraw;
use crate::deliver::{DrainBudget, DrainReport};
use crate::store::StoreError;

/// How often the loop looks for due notices that nobody announced.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the status file is written when nothing happens.
const QUIET: Duration = Duration::from_secs(60);
/// Notices that one channel tries in one turn.
const ROWS: usize = 1_000;
/// No send of a turn begins after this, so that a reload or a stop waits for little more than one send.
const TURN: Duration = Duration::from_secs(5);
/// What a service that stops still delivers, at most.
const FAREWELL: Duration = Duration::from_secs(10);

/// Delivers until `stop` says so, then what is due at that time.
pub(super) async fn run(current: Arc<RwLock<Arc<House>>>, mut stop: watch::Receiver<bool>) {
    let mut desk = Desk::default();
    take_over(current.read().await.as_ref());
    while !*stop.borrow() {
        let house = current.read().await.clone();
        desk.begin(&house);
        desk.write_status(&house);
        tokio::select! {
            Some(ended) = desk.turns.join_next_with_id() => desk.end(ended),
            () = house.announced.notified() => desk.announced(),
            () = tokio::time::sleep(until_due(&house)) => desk.look_again(),
            _ = stop.changed() => {}
        }
    }
    while let Some(ended) = desk.turns.join_next_with_id().await {
        desk.end(ended);
    }
    let house = current.read().await.clone();
    drain(&house, FAREWELL).await;
    desk.written = None;
    desk.write_status(&house);
}

/// Lets what a killed process was sending be sent again at once, and not only when its leases run out.
///
/// # Errors
/// When the store cannot be read or written.
pub fn free_rows_of_the_dead(store: &SharedStore) -> Result<usize, StoreError> {
    let mut store = store.lock();
    let mut freed = 0;
    for owner in store.senders()?.iter().filter(|owner| is_dead(owner)) {
        freed += store.free_rows_of(owner)?;
    }
    Ok(freed)
}

/// Before anything is delivered.
pub(super) fn take_over(house: &House) {
    match free_rows_of_the_dead(&house.store) {
        Ok(0) => {}
        Ok(rows) => info!(rows, "a process that was killed was telling these; they are told again under the same keys"),
        Err(problem) => warn!(problem = %super::chain(&problem), "what a killed process was telling waits for its leases"),
    }
}

/// Tells what is due, for at most that long.
pub async fn drain(house: &House, within: Duration) -> DrainReport {
    withdraw(house);
    let report = house.post().drain(DrainBudget { rows: ROWS, time: within }).await;
    tell(&report);
    report
}

fn tell(report: &DrainReport) {
    for (channel, problem) in &report.failed {
        warn!(channel, problem, paused = report.paused.contains(channel), "notices wait: the channel does not take them");
    }
    for channel in &report.paused {
        error!(channel, "paused: mend its login, then say `pgsteward notify resume {channel}`");
    }
    for problem in &report.errors {
        error!(problem = %super::chain(problem), "the outbox cannot be read or written");
    }
    if report.delivered + report.dead + report.handed > 0 {
        info!(delivered = report.delivered, given_up = report.dead, handed_on = report.handed, "delivery");
    }
}

/// How long until something is due, as far as is known; never long, since other processes write too.
fn until_due(house: &House) -> Duration {
    let now = house.clock.now();
    let next = house.store.lock().next_due(now).ok().flatten();
    next.and_then(|at| (at - now).to_std().ok()).map_or(PAUSE, |wait| wait.clamp(Duration::from_millis(1), PAUSE))
}

/// The turns that run.
#[derive(Default)]
struct Desk {
    turns: JoinSet<DrainReport>,
    busy: BTreeMap<Id, String>,
    /// Channels whose last turn could do nothing.
    idle: BTreeSet<String>,
    /// Whether something happened since the status file was written.
    news: bool,
    /// When that was.
    written: Option<Instant>,
}

impl Desk {
    /// Gives every channel with something due a turn.
    fn begin(&mut self, house: &Arc<House>) {
        let due = house.post().due().unwrap_or_else(|problem| {
            error!(problem = %super::chain(&problem), "the outbox cannot be read");
            Vec::new()
        });
        let free: Vec<String> =
            due.into_iter().filter(|name| !self.idle.contains(name) && self.busy.values().all(|busy| busy != name)).collect();
        if !free.is_empty() {
            withdraw(house);
        }
        for name in free {
            let (house, channel) = (house.clone(), name.clone());
            let turn = async move { house.post().turn(&channel, DrainBudget { rows: ROWS, time: TURN }).await };
            self.busy.insert(self.turns.spawn(turn).id(), name);
        }
    }

    fn end(&mut self, ended: Result<(Id, DrainReport), tokio::task::JoinError>) {
        match ended {
            Ok((id, report)) => {
                tell(&report);
                let moved = report.delivered + report.retried + report.dead + report.handed > 0;
                self.idle.extend(self.busy.remove(&id).filter(|_| !moved));
                self.news |= moved;
            }
            Err(problem) => {
                self.idle.extend(self.busy.remove(&problem.id()));
                error!(%problem, "a delivery broke off; what it held is sent again");
            }
        }
    }

    fn look_again(&mut self) {
        self.idle.clear();
    }

    fn announced(&mut self) {
        self.look_again();
        self.news = true;
    }

    fn write_status(&mut self, house: &House) {
        let pause = if self.news { PAUSE } else { QUIET };
        if self.written.is_some_and(|at| at.elapsed() < pause) {
            return;
        }
        self.written = Some(Instant::now());
        self.news = false;
        if let Err(problem) = status::write(house, None) {
            warn!(problem = %super::chain(&problem), "status file not written");
        }
    }
}
