//! What counters may never do, whatever a server says of them: properties of `model::Changes` over random readings.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use pgsteward::model::*;
use proptest::prelude::*;

/// Rows of a reading: name and counter, names unique.
type Rows = BTreeMap<String, Option<i64>>;

fn frame(at_s: i64, epoch: &str, rows: &[(String, Option<i64>)]) -> Arc<Frame> {
    let column =
        |name: &str, kind| ColumnDef { name: name.into(), kind, unit: Unit::None, sensitivity: Sensitivity::Public, doc: "x".into() };
    let def = FrameDef {
        name: "t".into(),
        doc: "x".into(),
        key: vec!["name".into()],
        columns: vec![column("name", ColumnKind::Label), column("n", ColumnKind::Counter)],
        reset_column: None,
    };
    let names = ColumnData::Text(Arc::new(rows.iter().map(|(name, _)| Some(name)).collect()));
    let values = ColumnData::Int(rows.iter().map(|(_, n)| *n).collect());
    let mut frame = Frame::new(Arc::new(def), DateTime::UNIX_EPOCH + TimeDelta::seconds(at_s), vec![names, values]).unwrap();
    frame.epoch = Some(epoch.into());
    Arc::new(frame)
}

fn listed(rows: &Rows) -> Vec<(String, Option<i64>)> {
    rows.iter().map(|(name, n)| (name.clone(), *n)).collect()
}

fn any_rows() -> impl Strategy<Value = Rows> {
    prop::collection::btree_map("[a-e]{1,2}", prop::option::weighted(0.9, 0..1_000_000_i64), 0..12)
}

/// State and rate of each row by name.
fn by_name(changes: &FrameChanges, now: &Frame) -> BTreeMap<String, (String, String)> {
    let row = |row: usize| {
        let name = now.text("name", row).unwrap().to_string();
        (name, (format!("{:?}", changes.states[row]), format!("{:?}", changes.rates["n"][row])))
    };
    (0..now.rows).map(row).collect()
}

proptest! {
    #[test]
    fn a_rate_is_never_negative_and_only_where_both_readings_belong_together(
        before in any_rows(), after in any_rows(), seconds in 1..100_000_i64, restarted: bool,
    ) {
        let (first, second) = (frame(0, "e", &listed(&before)), frame(seconds, if restarted { "f" } else { "e" }, &listed(&after)));
        let changes = FrameChanges::between(&first, &second).unwrap();
        for (row, (name, now)) in listed(&after).into_iter().enumerate() {
            let rate = changes.rates["n"][row];
            match (before.get(&name), changes.states[row]) {
                (None, state) => prop_assert_eq!(state, ChangeState::FirstSeen),
                (Some(Some(b)), state) if restarted || now.is_some_and(|a| a < *b) => prop_assert_eq!(state, ChangeState::Reset),
                (Some(_), _) if restarted => prop_assert_eq!(changes.states[row], ChangeState::Reset),
                (Some(_), state) => prop_assert_eq!(state, ChangeState::Rate),
            }
            match (changes.states[row], before.get(&name).copied().flatten(), now) {
                (ChangeState::Rate, Some(b), Some(a)) => {
                    prop_assert!(rate >= 0.0);
                    prop_assert!((rate * seconds as f64 - (a - b) as f64).abs() < 1e-6 * (a as f64 + 1.0));
                }
                _ => prop_assert!(rate.is_nan(), "{} has the rate {}", name, rate),
            }
        }
    }

    #[test]
    fn the_order_of_rows_changes_nothing(before in any_rows(), after in any_rows(), turn in 0..12_usize) {
        let (mut rows, mut earlier) = (listed(&after), listed(&before));
        let straight = FrameChanges::between(&frame(0, "e", &earlier), &frame(60, "e", &rows)).unwrap();
        let expected = by_name(&straight, &frame(60, "e", &rows));
        rows.reverse();
        let at = turn % earlier.len().max(1);
        earlier.rotate_left(at);
        let turned = frame(60, "e", &rows);
        prop_assert_eq!(by_name(&FrameChanges::between(&frame(0, "e", &earlier), &turned).unwrap(), &turned), expected);
    }

    #[test]
    fn a_reading_that_is_not_later_has_no_changes(rows in any_rows(), back in 0..1_000_i64) {
        prop_assert!(FrameChanges::between(&frame(1_000, "e", &listed(&rows)), &frame(1_000 - back, "e", &listed(&rows))).is_none());
    }
}
