//! One look without a service: `check` and `collect`. Needs no config and writes no state.
//!
//! Counters need an earlier reading. The stored tick of a service serves when it is fresh; else two samples are taken,
//! the first with only the frames that have counters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::house::Watch;
use super::privacy;
use super::report::{Earlier, Report};
use super::tick::{basis, book};
use super::turn::{Basis, turn};
use crate::clock::Clock;
use crate::collect::{Kept, ROLE_IN_GRANT, Sample, SweepRequest, sweep};
use crate::model::{Book, ColumnKind, Frame, Metric, Snapshot};
use crate::rules::RuleSet;
use crate::store::{Store, StoreError};

/// What a one-shot run works with.
#[derive(Clone, Copy)]
pub struct OneShot<'a> {
    /// Time.
    pub clock: &'a Clock,
    /// The target.
    pub watch: &'a Watch,
    /// Metrics.
    pub metrics: &'a [Metric],
    /// Rules.
    pub rules: &'a RuleSet,
    /// The store of a service on this machine, if there is one.
    pub store: Option<&'a Store>,
    /// Seconds between two samples where two are needed.
    pub interval_s: f64,
    /// Told what is being done, for whoever waits.
    pub progress: &'a (dyn Fn(&str) + Sync),
}

/// A stored tick older than this is no earlier reading: a rate over it would hide what happened since.
const STORED_AT_MOST_S: f64 = 3_600.0;

/// Looks at a server: what was seen, what it is held against, and how long before that was read.
///
/// # Errors
/// When the store cannot be read.
pub async fn look(shot: &OneShot<'_>) -> Result<(Basis, Earlier), StoreError> {
    let name = shot.watch.target.name.as_str();
    if let Some(store) = shot.store
        && let Some(stored) = store.latest(name)?
    {
        let age_s = seconds_between(&stored, shot.clock);
        if age_s <= STORED_AT_MOST_S && stored.server.is_some() {
            (shot.progress)("reading");
            let mut kept = Kept::default();
            let snapshot = Arc::new(sample(shot, shot.metrics, &mut kept).await);
            kept.close().await;
            let basis = basis(store, snapshot, book(store, &shot.watch.decide)?, &shot.rules.windows())?;
            return Ok((basis, Earlier::Stored(age_s)));
        }
    }
    Ok(basis_of(two_samples(shot).await))
}

/// Takes two samples so that counters have rates.
pub async fn two_samples(shot: &OneShot<'_>) -> Sample {
    (shot.progress)("first sample");
    let counting: Vec<Metric> = shot.metrics.iter().filter(|m| has_counters(m)).cloned().collect();
    let mut kept = Kept::default();
    let previous = sample(shot, &counting, &mut kept).await;
    if previous.server.is_none() {
        return Sample::new(previous, BTreeMap::new());
    }
    (shot.progress)(&format!("waiting {} for the second sample", pgsteward_helpers::span(shot.interval_s)));
    tokio::time::sleep(Duration::from_secs_f64(shot.interval_s)).await;
    (shot.progress)("second sample");
    let mut snapshot = sample(shot, shot.metrics, &mut kept).await;
    kept.close().await;
    let (cost, first) = (&mut snapshot.cost, previous.cost);
    cost.server_ms += first.server_ms;
    cost.queries += first.queries;
    cost.rows += first.rows;
    cost.bytes += first.bytes;
    cost.connections = cost.connections.max(first.connections);
    Sample::new(snapshot, frames_of(previous))
}

/// A sample, taken now or read from a file, as what a tick decides from.
#[must_use]
pub fn basis_of(sample: Sample) -> (Basis, Earlier) {
    let before = sample.previous.values().map(|frame| frame.as_of).min();
    let earlier = before.map_or(Earlier::None, |at| Earlier::Sampled((sample.snapshot.taken_at - at).num_milliseconds() as f64 / 1000.0));
    let previous = sample.previous.into_iter().map(|(name, frame)| (name, Arc::new(frame))).collect();
    let basis = Basis { snapshot: Arc::new(sample.snapshot), previous, past: Arc::default(), book: Book::default() };
    (basis, earlier)
}

/// Turns the basis into a report; nothing is kept.
#[must_use]
pub fn report(shot: &OneShot<'_>, basis: &Basis, earlier: Earlier) -> Report {
    let (outcomes, decision) = turn(basis, shot.rules, &shot.watch.wishes, &shot.watch.decide);
    let grants = if basis.snapshot.server.as_ref().is_some_and(|s| s.version_num < 140_000) {
        BTreeMap::new() // There is no role that reads all data before 14.
    } else {
        grants(shot.metrics)
    };
    Report { snapshot: basis.snapshot.clone(), outcomes, decision, earlier, unusable: Vec::new(), grants }
}

/// The grants that show more of a frame than `pg_monitor` does.
#[must_use]
pub fn grants(metrics: &[Metric]) -> BTreeMap<String, String> {
    metrics
        .iter()
        .filter(|m| m.grant.contains("pg_read_all_data"))
        .map(|m| (m.frame.name.clone(), m.grant.replace(ROLE_IN_GRANT, "the role of pgsteward")))
        .collect()
}

async fn sample(shot: &OneShot<'_>, metrics: &[Metric], kept: &mut Kept) -> Snapshot {
    let watch = shot.watch;
    let request = SweepRequest {
        target: &watch.target,
        endpoint: &watch.endpoint,
        databases: &watch.databases,
        metrics,
        budget: &watch.budget,
        carried: &BTreeMap::new(),
        now: shot.clock.now(),
        every_s: watch.decide.every_s,
        all_due: true,
    };
    let mut snapshot = sweep(&request, kept).await;
    privacy::apply(&mut snapshot, watch.statement_text);
    snapshot
}

fn has_counters(metric: &Metric) -> bool {
    metric.frame.columns.iter().any(|column| column.kind == ColumnKind::Counter)
}

fn frames_of(snapshot: Snapshot) -> BTreeMap<String, Frame> {
    snapshot.frames.into_iter().filter_map(|(name, reading)| Some((name, reading.frame()?.as_ref().clone()))).collect()
}

fn seconds_between(stored: &Snapshot, clock: &Clock) -> f64 {
    (clock.now() - stored.taken_at).num_milliseconds() as f64 / 1000.0
}
