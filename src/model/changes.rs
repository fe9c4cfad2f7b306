//! What counters did between two readings of the same frame: the only place that subtracts counters.
//!
//! Pure. A row is matched by its key. Its change is a `Rate`, or it is known why there is none: the row is new
//! (`FirstSeen`) or its counters began anew (`Reset`), which shows in the frame's epoch (another postmaster, timeline or
//! cluster), in the row's reset column, or in a counter that went down. Rates are per second over the frame's own
//! interval, never over the tick's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ColumnData, ColumnKind, Frame, Snapshot};

/// What is known of one row's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// Both readings belong together; rates are there for every counter known in both.
    Rate,
    /// The counters began anew in between; no rate is known.
    Reset,
    /// The row was not in the earlier reading.
    FirstSeen,
}

/// The changes of one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameChanges {
    /// Seconds between the two readings.
    pub interval_s: f64,
    /// The earlier reading.
    pub previous: Arc<Frame>,
    /// For each row now, its row in the earlier reading.
    pub previous_row: Vec<Option<u32>>,
    /// For each row now, what is known.
    pub states: Vec<ChangeState>,
    /// Per counter column: change per second, NaN where the state is not `Rate` or a value is unknown.
    pub rates: BTreeMap<String, Arc<[f64]>>,
}

/// The changes of every frame that has an earlier reading.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// By frame name; a frame without an earlier reading is not here.
    pub frames: BTreeMap<String, Arc<FrameChanges>>,
}

impl Changes {
    /// The changes between the frames of a snapshot and earlier readings of the same frames.
    #[must_use]
    pub fn between(previous: &BTreeMap<String, Arc<Frame>>, now: &Snapshot) -> Self {
        let frames = now.frames.iter().filter_map(|(name, reading)| {
            let changes = FrameChanges::between(previous.get(name)?, reading.frame()?)?;
            Some((name.clone(), Arc::new(changes)))
        });
        Self { frames: frames.collect() }
    }
}

impl FrameChanges {
    /// The changes between two readings; `None` when the second is not later than the first.
    #[must_use]
    pub fn between(previous: &Arc<Frame>, now: &Arc<Frame>) -> Option<Self> {
        let interval_s = (now.as_of - previous.as_of).num_milliseconds() as f64 / 1000.0;
        if interval_s <= 0.0 {
            return None;
        }
        let previous_row = match_rows(previous, now);
        let counters = counters_of(previous, now);
        let states = states(previous, now, &previous_row, &counters);
        let rates = counters
            .iter()
            .map(|(name, before, after)| {
                let rate = |row: usize| match (states[row], previous_row[row]) {
                    (ChangeState::Rate, Some(old)) => match (before[old as usize], after[row]) {
                        (Some(b), Some(a)) => a.wrapping_sub(b) as f64 / interval_s,
                        _ => f64::NAN,
                    },
                    _ => f64::NAN,
                };
                ((*name).to_string(), (0..now.rows).map(rate).collect())
            })
            .collect();
        Some(Self { interval_s, previous: previous.clone(), previous_row, states, rates })
    }

    /// The value that a numeric column had in the earlier reading, per row of now; NaN where there was none.
    #[must_use]
    pub fn previous_values(&self, column: &str) -> Option<Arc<[f64]>> {
        let before = self.previous.column(column)?.to_floats()?;
        Some(self.previous_row.iter().map(|row| row.map_or(f64::NAN, |r| before[r as usize])).collect())
    }
}

/// A counter column of both readings: name, values before, values now.
type Counter<'a> = (&'a str, &'a [Option<i64>], &'a [Option<i64>]);

fn counters_of<'a>(previous: &'a Frame, now: &'a Frame) -> Vec<Counter<'a>> {
    let counters = now.def.columns.iter().filter(|c| c.kind == ColumnKind::Counter);
    counters
        .filter_map(|c| match (previous.column(&c.name)?, now.column(&c.name)?) {
            (ColumnData::Int(before), ColumnData::Int(after)) => Some((c.name.as_str(), &before[..], &after[..])),
            _ => None,
        })
        .collect()
}

fn match_rows(previous: &Frame, now: &Frame) -> Vec<Option<u32>> {
    if now.def.key.is_empty() {
        return (0..now.rows).map(|row| (row < previous.rows).then_some(row as u32)).collect();
    }
    let known: HashMap<String, u32> = (0..previous.rows).map(|row| (row_key(previous, &now.def.key, row), row as u32)).collect();
    (0..now.rows).map(|row| known.get(&row_key(now, &now.def.key, row)).copied()).collect()
}

/// Length-prefixed, so that no value can imitate a boundary.
fn row_key(frame: &Frame, key: &[String], row: usize) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(48);
    for column in key {
        match frame.text(column, row) {
            Some(value) => write!(text, "{}:{value}", value.len()).unwrap_or_default(),
            None => text.push('-'),
        }
    }
    text
}

fn states(previous: &Frame, now: &Frame, previous_row: &[Option<u32>], counters: &[Counter<'_>]) -> Vec<ChangeState> {
    let new_epoch = previous.epoch != now.epoch;
    let reset_column = now.def.reset_column.as_deref();
    let state = |row: usize| {
        let Some(old) = previous_row[row].map(|r| r as usize) else { return ChangeState::FirstSeen };
        let began_anew = reset_column.is_some_and(|column| previous.number(column, old) != now.number(column, row));
        let went_down = || counters.iter().any(|(_, before, after)| matches!((before[old], after[row]), (Some(b), Some(a)) if a < b));
        if new_epoch || began_anew || went_down() { ChangeState::Reset } else { ChangeState::Rate }
    };
    (0..now.rows).map(state).collect()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::super::{ColumnDef, FrameDef, Sensitivity, Unit};
    use super::*;

    fn frame(at_s: i64, epoch: &str, rows: &[(&str, i64)]) -> Arc<Frame> {
        let column = |name: &str, kind| ColumnDef {
            name: name.into(),
            kind,
            unit: Unit::None,
            sensitivity: Sensitivity::Public,
            doc: String::new(),
        };
        let def = FrameDef {
            name: "t".into(),
            doc: String::new(),
            key: vec!["name".into()],
            columns: vec![column("name", ColumnKind::Label), column("n", ColumnKind::Counter)],
            reset_column: None,
        };
        let names = ColumnData::Text(Arc::new(rows.iter().map(|(name, _)| Some(*name)).collect()));
        let values = ColumnData::Int(rows.iter().map(|(_, n)| Some(*n)).collect());
        let as_of = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(at_s);
        let mut frame = Frame::new(Arc::new(def), as_of, vec![names, values]).unwrap();
        frame.epoch = Some(epoch.into());
        Arc::new(frame)
    }

    #[test]
    fn a_counter_that_grew_has_a_rate_over_its_own_interval() {
        let changes = FrameChanges::between(&frame(0, "e", &[("a", 100)]), &frame(50, "e", &[("b", 7), ("a", 200)])).unwrap();
        assert_eq!(changes.states, [ChangeState::FirstSeen, ChangeState::Rate]);
        assert!(changes.rates["n"][0].is_nan());
        assert_eq!(changes.rates["n"][1], 2.0);
        assert_eq!(changes.previous_values("n").unwrap()[1], 100.0);
    }

    #[test]
    fn a_counter_that_went_down_is_a_reset_and_never_negative() {
        let changes = FrameChanges::between(&frame(0, "e", &[("a", 100)]), &frame(10, "e", &[("a", 5)])).unwrap();
        assert_eq!(changes.states, [ChangeState::Reset]);
        assert!(changes.rates["n"][0].is_nan());
    }

    #[test]
    fn another_postmaster_resets_even_what_grew() {
        let changes = FrameChanges::between(&frame(0, "e1", &[("a", 1)]), &frame(10, "e2", &[("a", 100)])).unwrap();
        assert_eq!(changes.states, [ChangeState::Reset]);
    }

    #[test]
    fn the_same_reading_twice_has_no_changes() {
        let reading = frame(0, "e", &[("a", 1)]);
        assert!(FrameChanges::between(&reading, &reading).is_none());
    }
}
