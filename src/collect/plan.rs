//! What a sweep has to do, decided before it asks: what is due, in which order, and where an extension may live. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::model::{Frame, Metric, Need};

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
