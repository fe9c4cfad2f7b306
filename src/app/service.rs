//! The schedule: every target at its time, deliveries beside it, a reload between ticks, a stop in good order.
//!
//! Ticks of one target never overlap; targets run side by side, spread over the interval. A target that hangs is bounded
//! by its own timeouts and holds nobody else. Deliveries have a loop of their own, so that a slow channel holds no tick.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{RwLock, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::delivery::{self, drain};
use super::house::{House, Watch};
use super::own;
use super::removed;
use super::status::{self, Overlap};
use super::tick::tick;
use crate::collect::Kept;
use crate::model::{Outcome, Severity, State};
use crate::store::StoreError;

/// How a run that was asked for once ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OnceDone {
    /// Targets whose tick was committed.
    pub ticked: usize,
    /// Targets that another process is working on.
    pub overlapped: usize,
    /// Targets whose tick could not be committed.
    pub failed: usize,
}

/// How long `run --once` delivers after its ticks before it leaves the rest to the next run.
const ONCE_DRAIN: Duration = Duration::from_secs(30);
/// How often history is pruned.
const PRUNE_PAUSE: Duration = Duration::from_secs(3600);

/// One tick of each target, then deliveries within a bounded time: what cron calls.
pub async fn once(house: &House) -> OnceDone {
    removed::retire(house);
    let (mut done, mut left) = (OnceDone::default(), Vec::new());
    // What an earlier run left comes first.
    delivery::take_over(house);
    drain(house, ONCE_DRAIN / 3).await;
    for watch in &house.watches {
        let mut kept = Kept::default();
        let ran = run_tick(house, watch, &mut kept).await;
        kept.close().await;
        match ran {
            Ok(()) => done.ticked += 1,
            Err(StoreError::LeaseHeld { .. }) => left.push(watch.target.name.clone()),
            Err(_) => done.failed += 1,
        }
        release(house, watch);
    }
    look_at_ourselves(house);
    drain(house, ONCE_DRAIN).await;
    prune(house);
    done.overlapped = left.len();
    let overlap = (!left.is_empty()).then(|| Overlap { at: house.clock.now(), targets: left });
    if let Err(problem) = status::write(house, overlap) {
        warn!(problem = %super::chain(&problem), "status file not written");
    }
    done
}

/// Runs until `stop` says so; `current` holds the house and is swapped by a reload.
pub async fn serve(current: Arc<RwLock<Arc<House>>>, stop: watch::Receiver<bool>, mut reloads: watch::Receiver<u64>) {
    let mut deliveries = tokio::spawn(delivery::run(current.clone(), stop.clone()));
    while !*stop.borrow() {
        // In this order: a reload in between makes the targets end at once and come back with the new house.
        let generation = *reloads.borrow_and_update();
        let house = current.read().await.clone();
        removed::retire(&house);
        let mut targets = JoinSet::new();
        for (index, _) in house.watches.iter().enumerate() {
            targets.spawn(target_loop(house.clone(), index, stop.clone(), reloads.clone(), generation));
        }
        if house.watches.is_empty() {
            // How we fare is looked at all the same.
            targets.spawn(until_told(stop.clone(), reloads.clone(), generation));
        }
        let mut pruning = tokio::time::interval(PRUNE_PAUSE);
        let mut looks = tokio::time::interval(own::EVERY);
        loop {
            tokio::select! {
                ended = targets.join_next() => match ended {
                    None => break,
                    Some(Ok(())) => {}
                    Some(Err(problem)) => error!(%problem, "a target is not watched any more; restart pgsteward"),
                },
                _ = pruning.tick() => prune(&house),
                _ = looks.tick() => look_at_ourselves(&house),
            }
        }
    }
    if let Err(problem) = (&mut deliveries).await {
        error!(%problem, "the delivery loop failed");
    }
}

/// Ends at a stop or a reload.
async fn until_told(mut stop: watch::Receiver<bool>, mut reloads: watch::Receiver<u64>, generation: u64) {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        _ = reloads.wait_for(|now| *now != generation) => {}
    }
}

async fn target_loop(house: Arc<House>, index: usize, mut stop: watch::Receiver<bool>, mut reloads: watch::Receiver<u64>, generation: u64) {
    let Some(watch) = house.watches.get(index) else { return };
    let every = Duration::from_secs(watch.decide.every_s.max(1));
    let offset = if house.spread { every.mul_f64(index as f64 / house.watches.len().max(1) as f64) } else { Duration::ZERO };
    let mut next = tokio::time::Instant::now() + offset;
    let mut kept = Kept::default();
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            _ = stop.changed() => break,
            _ = reloads.changed() => break,
        }
        if *reloads.borrow() != generation {
            break;
        }
        // Already logged; the next tick tries again.
        drop(run_tick(&house, watch, &mut kept).await);
        next = (next + every).max(tokio::time::Instant::now());
        if *stop.borrow() || *reloads.borrow() != generation {
            break;
        }
    }
    kept.close().await;
    release(&house, watch);
}

/// One tick with its log lines.
async fn run_tick(house: &House, watch: &Watch, kept: &mut Kept) -> Result<(), StoreError> {
    let target = watch.target.name.as_str();
    match tick(house, watch, kept).await {
        Ok(done) => {
            let firing = |severity| {
                let alerts = done.decision.book.alerts.values();
                alerts.filter(|a| a.severity == severity && matches!(a.state, State::Firing | State::Recovering)).count()
            };
            let failed = done.outcomes.iter().filter(|o| matches!(o.outcome, Outcome::Error(_))).count();
            tell_failed(target, &done);
            let cost = &done.basis.snapshot.cost;
            info!(
                target_name = target,
                reached = done.basis.snapshot.server.is_some(),
                critical = firing(Severity::Critical),
                warning = firing(Severity::Warning),
                transitions = done.decision.steps.len(),
                notices = done.decision.tellings.len(),
                rules_failed = failed,
                server_ms = cost.server_ms.round(),
                queries = cost.queries,
                "tick"
            );
            house.announced.notify_one();
            Ok(())
        }
        Err(problem @ StoreError::LeaseHeld { .. }) => {
            info!(target_name = target, %problem, "tick left to the other process");
            Err(problem)
        }
        Err(problem) => {
            error!(target_name = target, problem = %super::chain(&problem), "tick not committed; the next one tries again");
            Err(problem)
        }
    }
}

/// A rule that begins to fail is named in the log once, with the reason; the alert about it comes when it lasts.
fn tell_failed(target: &str, done: &super::tick::TickDone) {
    for ended in &done.outcomes {
        let began = || done.decision.book.rules.get(&ended.meta.id).is_some_and(|health| health.errors == 1);
        if let Outcome::Error(reason) = &ended.outcome
            && began()
        {
            warn!(target_name = target, rule = ended.meta.id, reason = crate::text::safe(reason), "a rule fails");
        }
    }
}

fn release(house: &House, watch: &Watch) {
    if let Err(problem) = house.store.lock().release_lease(&watch.target.name, &house.owner) {
        warn!(%problem, "lease not released; it ends by itself");
    }
}

fn look_at_ourselves(house: &House) {
    match own::look(house) {
        Ok(decision) if decision.tellings.is_empty() => {}
        Ok(_) => house.announced.notify_one(),
        Err(StoreError::LeaseHeld { .. } | StoreError::Conflict { .. }) => {}
        Err(problem) => warn!(problem = %super::chain(&problem), "how we fare was not decided; the next look tries again"),
    }
}

fn prune(house: &House) {
    let now = house.clock.now();
    match house.store.lock().prune(now, house.keep_s, house.max_bytes) {
        Ok(pruned) => tracing::debug!(?pruned, "history pruned"),
        Err(problem) => warn!(problem = %super::chain(&problem), "history not pruned"),
    }
}
