//! What a sweep has to do, decided before it asks: what is due, in which order, and where an extension may live. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::model::{CostClass, Frame, Metric, Need};

/// Share of its interval by which a metric may be early: ticks are never exactly on time, and a metric of 60 s under a tick
/// of 60 s must not wait for every second one.
const EARLY: f64 = 0.1;

/// Whether a metric must be read now. Another description than the last frame's (a new build, a changed rule) makes it due.
pub(super) fn is_due(metric: &Metric, last: Option<&Arc<Frame>>, now: DateTime<Utc>) -> bool {
    let Some(last) = last.filter(|frame| *frame.def == metric.frame) else { return true };
    let age_s = (now - last.as_of).num_milliseconds() as f64 / 1000.0;
    // A reading from the future is a clock that was put back.
    age_s < 0.0 || age_s >= metric.every_s as f64 * (1.0 - EARLY)
}

/// Share of its interval by which a heavy metric may be late, once, so that it gets a tick of its own.
const LATE: f64 = 0.5;

/// Heavy metrics that are due and wait for a later tick, since one of them a tick is enough for a server. What has waited
/// stays behind the others by as much from then on, so this spreads the heavy ones after a first tick that read them all.
///
/// One waits only while the next tick still comes in time. Of those that can wait one does not: the most frequent, whose
/// delay would be the largest, then the one that is due the longest. One that was never read is no part of it: it may never
/// be answered, for the lack of an extension.
pub(super) fn waiting<'m>(
    metrics: &'m [Metric],
    carried: &BTreeMap<String, Arc<Frame>>,
    now: DateTime<Utc>,
    every_s: u64,
) -> BTreeSet<&'m str> {
    let due = metrics.iter().filter(|metric| metric.cost == CostClass::Heavy).filter_map(|metric| {
        let last = carried.get(&metric.frame.name).filter(|last| last.def.as_ref() == &metric.frame && is_due(metric, Some(last), now))?;
        let next_age_s = (now - last.as_of).num_milliseconds() as f64 / 1000.0 + every_s as f64;
        Some((metric, last.as_of, next_age_s > metric.every_s as f64 * (1.0 + LATE)))
    });
    let (late, mut patient): (Vec<_>, Vec<_>) = due.partition(|(_, _, is_late)| *is_late);
    patient.sort_by_key(|(metric, as_of, _)| (metric.every_s, *as_of));
    let at_once = usize::from(late.is_empty());
    patient.into_iter().skip(at_once).map(|(metric, ..)| metric.frame.name.as_str()).collect()
}

/// The metrics in the order of asking: the cheap ones first, so that they are near the snapshot's time, and of these the most
/// frequent first; the heavy ones last, when the budget may say no.
pub(super) fn ordered(metrics: &[Metric]) -> Vec<&Metric> {
    let mut order: Vec<&Metric> = metrics.iter().collect();
    order.sort_by_key(|metric| (metric.cost, Reverse(metric.every_s == 0), metric.every_s));
    order
}

/// Where the extensions that a metric needs may be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Homes {
    /// Nobody has looked: any database.
    Unknown,
    /// In these databases, as the last `extensions` frame says; empty when in none.
    In(BTreeSet<String>),
}

/// Reads the last `extensions` frame, so that a server of many databases is not searched at every tick.
pub(super) fn homes(metric: &Metric, carried: &BTreeMap<String, Arc<Frame>>) -> Homes {
    let Some(frame) = carried.get("extensions") else { return Homes::Unknown };
    let rows = |name: &str| -> BTreeSet<String> {
        (0..frame.rows)
            .filter(|row| frame.text("extension", *row) == Some(name))
            .filter_map(|row| frame.text("database", row).map(String::from))
            .collect()
    };
    let mut sets = metric.needs.iter().map(|Need::Extension { name, .. }| rows(name));
    let Some(first) = sets.next() else { return Homes::Unknown };
    Homes::In(sets.fold(first, |found, next| found.intersection(&next).cloned().collect()))
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{ColumnData, ColumnDef, ColumnKind, CostClass, FrameDef, Role, Scope, Sensitivity, Unit};

    pub fn column(name: &str, kind: ColumnKind) -> ColumnDef {
        ColumnDef { name: name.into(), kind, unit: Unit::None, sensitivity: Sensitivity::Public, doc: String::new() }
    }

    pub fn metric(name: &str, cost: CostClass, every_s: u64) -> Metric {
        Metric {
            frame: FrameDef {
                name: name.into(),
                doc: String::new(),
                key: vec![],
                columns: vec![column("database", ColumnKind::Label), column("extension", ColumnKind::Label)],
                reset_column: None,
            },
            scope: Scope::Instance,
            role: Role::Any,
            every_s,
            timeout_ms: None,
            cost,
            needs: vec![],
            grant: String::new(),
            top: None,
            sql: vec![(0, "SELECT 1".into())],
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn frame(metric: &Metric, rows: &[(&str, &str)]) -> Arc<Frame> {
        let text = |values: Vec<&str>| ColumnData::Text(Arc::new(values.into_iter().map(Some).collect()));
        let columns = vec![text(rows.iter().map(|r| r.0).collect()), text(rows.iter().map(|r| r.1).collect())];
        Arc::new(Frame::new(Arc::new(metric.frame.clone()), at(1000), columns).unwrap())
    }

    #[test]
    fn a_metric_is_due_after_its_interval_give_or_take_a_late_tick() {
        let tables = metric("tables", CostClass::Moderate, 300);
        let last = frame(&tables, &[]);
        let due = |now| is_due(&tables, Some(&last), at(now));
        assert_eq!([due(1060), due(1269), due(1270), due(1300)], [false, false, true, true]);
        assert!(due(900), "the clock was put back");
        assert!(is_due(&tables, None, at(1060)));
    }

    #[test]
    fn a_changed_description_makes_it_due() {
        let last = frame(&metric("tables", CostClass::Moderate, 300), &[]);
        let mut changed = metric("tables", CostClass::Moderate, 300);
        changed.frame.columns.pop();
        assert!(is_due(&changed, Some(&last), at(1001)));
    }

    /// Runs ticks `every_s` apart, each up to a twentieth late, and says at which each heavy metric was read.
    fn ticks(metrics: &[Metric], every_s: u64, lateness: &[f64]) -> BTreeMap<String, Vec<i64>> {
        let mut carried: BTreeMap<String, Arc<Frame>> = BTreeMap::new();
        let mut read: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (tick, late) in (0_i64..).zip(lateness) {
            let seconds = tick * every_s as i64 + (late * every_s as f64 / 20.0) as i64;
            let now = at(seconds);
            let wait: BTreeSet<String> = waiting(metrics, &carried, now, every_s).into_iter().map(String::from).collect();
            for metric in metrics {
                if wait.contains(&metric.frame.name) || !is_due(metric, carried.get(&metric.frame.name), now) {
                    continue;
                }
                let last = Frame { as_of: now, ..frame(metric, &[]).as_ref().clone() };
                carried.insert(metric.frame.name.clone(), Arc::new(last));
                read.entry(metric.frame.name.clone()).or_default().push(tick);
            }
        }
        read
    }

    #[test]
    fn after_a_first_tick_with_all_the_heavy_ones_take_turns() {
        let metrics = [
            metric("tables", CostClass::Heavy, 300),
            metric("indexes", CostClass::Heavy, 300),
            metric("texts", CostClass::Heavy, 900),
            metric("sizes", CostClass::Moderate, 300),
        ];
        let read = ticks(&metrics, 60, &[0.0; 35]);
        assert_eq!(read["tables"], [0, 5, 10, 15, 20, 25, 30]);
        assert_eq!(read["indexes"], [0, 6, 11, 16, 21, 26, 31]);
        assert_eq!(read["texts"], [0, 14, 28]);
        assert_eq!(read["sizes"], [0, 5, 10, 15, 20, 25, 30], "only heavy ones wait");
    }

    #[test]
    fn where_a_tick_is_as_long_as_the_interval_none_waits() {
        let metrics = [metric("tables", CostClass::Heavy, 300), metric("indexes", CostClass::Heavy, 300)];
        let read = ticks(&metrics, 300, &[0.0; 4]);
        assert_eq!([&read["tables"], &read["indexes"]], [&[0, 1, 2, 3], &[0, 1, 2, 3]]);
    }

    proptest! {
        /// Whatever the metrics, the ticks and their lateness: nobody is read more often than asked or much later, and two
        /// are read in one tick only where there is no room to wait.
        #[test]
        fn heavy_metrics_keep_their_cadence_and_out_of_each_others_way(
            cadences in prop::collection::vec(1_u64..=12, 1..4),
            every_s in 20_u64..=120,
            lateness in prop::collection::vec(0.0..1.0, 60),
        ) {
            let name = |at: usize| format!("m{at}");
            let metrics: Vec<Metric> = cadences.iter().enumerate().map(|(i, ticks)| metric(&name(i), CostClass::Heavy, ticks * every_s)).collect();
            let read = ticks(&metrics, every_s, &lateness);
            for (i, cadence) in cadences.iter().enumerate() {
                let gaps: Vec<u64> = read[&name(i)].windows(2).map(|w| (w[1] - w[0]) as u64).collect();
                let latest = (*cadence as f64 * (1.0 + LATE)).floor() as u64;
                let earliest = (*cadence as f64 * (1.0 - EARLY) - 0.06).ceil() as u64;
                prop_assert!(gaps.iter().all(|gap| (earliest..=latest).contains(gap)), "every {cadence} ticks: {gaps:?}");
            }
            let frequent = cadences.iter().min().copied().unwrap_or_default() as usize;
            if frequent > 2 * cadences.len() {
                let mut at: Vec<i64> = read.values().flatten().copied().filter(|tick| *tick > 0).collect();
                let all = at.len();
                at.sort_unstable();
                at.dedup();
                prop_assert_eq!(at.len(), all, "two in one tick: {:?}", read);
            }
        }
    }

    #[test]
    fn cheap_and_frequent_come_first() {
        let metrics = [
            metric("sizes", CostClass::Heavy, 900),
            metric("settings", CostClass::Cheap, 600),
            metric("tables", CostClass::Moderate, 300),
            metric("databases", CostClass::Cheap, 0),
        ];
        let names: Vec<&str> = ordered(&metrics).iter().map(|m| m.frame.name.as_str()).collect();
        assert_eq!(names, ["databases", "settings", "tables", "sizes"]);
    }

    #[test]
    fn the_last_extensions_frame_says_where_to_look() {
        let mut statements = metric("statements", CostClass::Cheap, 0);
        statements.needs.push(Need::Extension { name: "pg_stat_statements".into(), min_version: "1.8".into() });
        let extensions =
            frame(&metric("extensions", CostClass::Cheap, 3600), &[("shop", "pg_stat_statements"), ("shop", "plpgsql"), ("hr", "plpgsql")]);
        let carried = BTreeMap::from([("extensions".to_string(), extensions)]);
        assert_eq!(homes(&statements, &carried), Homes::In(BTreeSet::from(["shop".to_string()])));
        assert_eq!(homes(&statements, &BTreeMap::new()), Homes::Unknown);
    }
}
