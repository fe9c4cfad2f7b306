//! Which subjects with an alert could not be judged: their row is unknown, or is missing and nothing proves it gone.
//!
//! Only subjects in the book matter, so rows are looked up from there; a frame is never indexed as a whole.

use std::collections::HashMap;

use crate::model::{ColumnData, Frame, Held, Labels};

/// The active subjects that hold their state, because their row `is_unknown` (for the `reason` of that row) or may have been missed.
pub fn held(frame: &Frame, active: &[Labels], is_unknown: impl Fn(usize) -> bool, reason: impl Fn(usize) -> String) -> Vec<Held> {
    let complete = frame.coverage.is_complete();
    // Where every row was seen, an absent subject is gone, and a known row holds nothing: only unknown rows matter.
    let rows = rows_of(frame, active, (0..frame.rows).filter(|row| !complete || is_unknown(*row)));
    let why = |subject: &Labels| match rows.get(subject) {
        Some(row) => is_unknown(*row).then(|| reason(*row)),
        None => frame.coverage.gap_for(subject),
    };
    active.iter().filter_map(|subject| Some(Held { subject: subject.clone(), reason: why(subject)? })).collect()
}

/// The row of each subject that has one among these.
pub fn rows_of<'a>(frame: &Frame, subjects: &'a [Labels], among: impl Iterator<Item = usize>) -> HashMap<&'a Labels, usize> {
    let Some(last) = frame.def.key.last() else {
        return among.take(1).flat_map(|row| subjects.iter().map(move |subject| (subject, row))).collect();
    };
    let Some(ColumnData::Text(names)) = frame.column(last) else { return HashMap::new() };
    let mut wanted: HashMap<&str, Vec<&Labels>> = HashMap::new();
    for subject in subjects {
        wanted.entry(subject.get(last).unwrap_or_default()).or_default().push(subject);
    }
    let candidates = among.filter_map(|row| Some((row, wanted.get(names.get(row)?)?)));
    candidates
        .flat_map(|(row, subjects)| {
            let this = frame.subject(row);
            subjects.iter().copied().filter(move |s| **s == this).map(move |s| (s, row))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::{DateTime, Utc};

    use super::*;
    use crate::model::{ColumnDef, ColumnKind, Coverage, FrameDef, Sensitivity, Unit};

    fn frame(names: &[(&str, &str)], top: Option<u64>) -> Frame {
        let column = |name: &str| ColumnDef {
            name: name.into(),
            kind: ColumnKind::Label,
            unit: Unit::None,
            sensitivity: Sensitivity::Public,
            doc: String::new(),
        };
        let def = FrameDef {
            name: "tables".into(),
            doc: String::new(),
            key: vec!["schema".into(), "table".into()],
            columns: vec![column("schema"), column("table")],
            reset_column: None,
        };
        let schemas = ColumnData::Text(Arc::new(names.iter().map(|(schema, _)| Some(*schema)).collect()));
        let tables = ColumnData::Text(Arc::new(names.iter().map(|(_, table)| Some(*table)).collect()));
        let columns = vec![schemas, tables];
        let mut frame = Frame::new(Arc::new(def), DateTime::<Utc>::UNIX_EPOCH, columns).unwrap();
        frame.coverage = Coverage { top, ..Coverage::default() };
        frame
    }

    fn subject(schema: &str, table: &str) -> Labels {
        [("schema", schema), ("table", table)].into_iter().collect()
    }

    #[test]
    fn the_whole_key_must_match() {
        let frame = frame(&[("a", "t"), ("b", "t")], None);
        let held = held(&frame, &[subject("b", "t"), subject("c", "t")], |row| row == 1, |_| "n is unknown".into());
        assert_eq!(held, [Held { subject: subject("b", "t"), reason: "n is unknown".into() }]);
    }

    #[test]
    fn an_absent_row_is_held_only_where_the_frame_may_have_missed_it() {
        let gone = [subject("a", "gone")];
        assert!(held(&frame(&[("a", "t")], None), &gone, |_| false, |_| String::new()).is_empty());
        let cut = held(&frame(&[("a", "t")], Some(1)), &gone, |_| false, |_| String::new());
        assert_eq!(cut[0].reason, "only the first 1 rows were collected");
    }
}
