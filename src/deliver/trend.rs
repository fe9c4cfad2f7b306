//! How the measured facts of notices went lately, read back from the store for channels that draw.
//!
//! Only facts that are a gauge of a frame (`tables.dead`) are there to be read: computed values are not stored, and a raw
//! counter says nothing. The newest readings come first, so that what time does not suffice for is the oldest.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::Trend;
use crate::model::{ColumnKind, Evidence, Frame, Labels, Notice};
use crate::store::{Series, Store};

/// How far back a picture shows.
const SPAN: TimeDelta = TimeDelta::hours(6);
/// Readings of one picture.
const POINTS: usize = 32;
/// Pictures of one message.
const MOST: usize = 4;
/// No message waits longer for its pictures.
const BUDGET: Duration = Duration::from_millis(50);

/// One fact whose past is wanted.
struct Wish<'a> {
    notice: &'a Notice,
    fact: &'a Evidence,
    column: &'a str,
    points: Vec<(DateTime<Utc>, f64)>,
}

/// The trends of the first facts that have one, in the order of the notices. A store that cannot be read costs only the
/// pictures.
#[must_use]
pub fn of(store: &Store, notices: &[Notice]) -> Vec<Trend> {
    let mut frames: BTreeMap<(&str, &str), Vec<Wish<'_>>> = BTreeMap::new();
    let facts = notices.iter().flat_map(|notice| notice.evidence.iter().map(move |fact| (notice, fact)));
    for (notice, fact) in facts {
        let Some((frame, column)) = fact.metric.split_once('.') else { continue };
        if fact.value.is_some() && frames.values().map(Vec::len).sum::<usize>() < MOST {
            frames.entry((&notice.target, frame)).or_default().push(Wish { notice, fact, column, points: Vec::new() });
        }
    }
    let until = Instant::now() + BUDGET;
    for ((target, frame), wishes) in &mut frames {
        if let Err(error) = read(store, target, frame, wishes, until) {
            tracing::warn!(%error, "a notice goes out without pictures");
        }
    }
    let mut wishes: Vec<Wish<'_>> = frames.into_values().flatten().filter(|wish| wish.points.len() > 1).collect();
    wishes.sort_by_key(|wish| notices.iter().position(|notice| std::ptr::eq(notice, wish.notice)));
    wishes.into_iter().map(Wish::trend).collect()
}

fn read(store: &Store, target: &str, frame: &str, wishes: &mut [Wish<'_>], until: Instant) -> Result<(), crate::store::StoreError> {
    let Some(last) = wishes.iter().map(|wish| wish.notice.at).max() else { return Ok(()) };
    let from = last.checked_sub_signed(SPAN).unwrap_or(last);
    store.series(&Series { target, frame, from, until: last, most: POINTS }, |frame| {
        for wish in wishes.iter_mut() {
            if let Some(value) = value(frame, wish.column, &wish.notice.subject) {
                wish.points.push((frame.as_of, value));
            }
        }
        Instant::now() < until
    })
}

/// The gauge of the row that is about the subject.
fn value(frame: &Frame, column: &str, subject: &Labels) -> Option<f64> {
    if frame.def.column(column)?.kind != ColumnKind::Gauge {
        return None;
    }
    let is_of = |row: &usize| frame.def.key.iter().all(|name| frame.text(name, *row).is_some_and(|text| subject.get(name) == Some(text)));
    (0..frame.rows).find(is_of).and_then(|row| frame.number(column, row))
}

impl Wish<'_> {
    fn trend(mut self) -> Trend {
        self.points.sort_by_key(|(at, _)| *at);
        Trend { notice: self.notice.key.clone(), fact: self.fact.clone(), points: self.points }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::testing::{at, notice};
    use super::*;
    use crate::model::{ColumnData, ColumnDef, Decision, FrameDef, Sensitivity, Unit};
    use crate::store::testing::{snapshot, two_handles};

    fn tables(as_of: i64, rows: &[(&str, f64)]) -> Arc<Frame> {
        let column =
            |name: &str, kind| ColumnDef { name: name.into(), kind, unit: Unit::Rows, sensitivity: Sensitivity::Public, doc: "".into() };
        let columns = vec![column("table", ColumnKind::Label), column("dead", ColumnKind::Gauge), column("n", ColumnKind::Counter)];
        let def = FrameDef { name: "tables".into(), doc: "".into(), key: vec!["table".into()], columns, reset_column: None };
        let data = vec![
            ColumnData::Text(Arc::new(rows.iter().map(|(name, _)| Some(*name)).collect())),
            ColumnData::Float(rows.iter().map(|(_, dead)| *dead).collect()),
            ColumnData::Int(rows.iter().map(|_| Some(7)).collect()),
        ];
        Arc::new(Frame::new(Arc::new(def), at(as_of), data).unwrap())
    }

    fn about(table: &str, metrics: &[&str]) -> Notice {
        let fact = |metric: &&str| Evidence { metric: (*metric).into(), value: Some(1.0), threshold: None, unit: Unit::Rows };
        let subject = [("database", "shop"), ("table", table)].into_iter().collect();
        Notice { target: "shop".into(), subject, at: at(30_000), evidence: metrics.iter().map(fact).collect(), ..notice(table) }
    }

    #[test]
    fn a_fact_of_a_gauge_is_read_back_for_its_own_subject() {
        let (_folder, mut store, _) = two_handles();
        for s in [1_000, 20_000, 25_000, 30_000, 40_000] {
            let rows = [("other", 1.0), ("orders", if s == 25_000 { f64::NAN } else { s as f64 })];
            store.commit_simply(&snapshot(s, &[tables(s, &rows)]), &Decision::default()).unwrap();
        }
        let trends = of(&store, &[about("orders", &["dead / trigger", "tables.dead", "tables.n", "nowhere.dead"])]);
        assert_eq!(trends.len(), 1, "computed values, counters and unknown frames have none: {trends:?}");
        assert_eq!((trends[0].notice.as_str(), trends[0].fact.metric.as_str()), ("orders", "tables.dead"));
        assert_eq!(trends[0].points, [(at(20_000), 20_000.0), (at(30_000), 30_000.0)], "6 h back, not past the notice");
        assert_eq!(of(&store, &[about("gone", &["tables.dead"])]), []);
    }

    #[test]
    fn a_message_has_a_few_pictures_in_the_order_of_its_notices() {
        let (_folder, mut store, _) = two_handles();
        let names: Vec<String> = (0..9).map(|n| format!("t{n}")).collect();
        let rows: Vec<(&str, f64)> = names.iter().rev().map(|name| (name.as_str(), 1.0)).collect();
        for s in [29_000, 30_000] {
            store.commit_simply(&snapshot(s, &[tables(s, &rows)]), &Decision::default()).unwrap();
        }
        let notices: Vec<Notice> = names.iter().map(|name| about(name, &["tables.dead"])).collect();
        let told: Vec<String> = of(&store, &notices).into_iter().map(|trend| trend.notice).collect();
        assert_eq!(told, ["t0", "t1", "t2", "t3"]);
    }
}
