//! Which subjects with an alert could not be judged: their row is unknown, or is missing and nothing proves it gone.
//!
//! Only subjects in the book matter, so rows are looked up from there; a frame is never indexed as a whole.

use std::collections::HashMap;

use crate::model::{ColumnData, Frame, Held, Labels};

/// The active subjects that hold their state. `unknown` says why a row could not be judged, if it could not.
pub fn held(frame: &Frame, active: &[Labels], unknown: impl Fn(usize) -> Option<String>) -> Vec<Held> {
    let rows = rows_of(frame, active);
    let reason = |subject: &Labels| match rows.get(subject) {
        Some(row) => unknown(*row),
        None => frame.coverage.gap_for(subject),
    };
    active.iter().filter_map(|subject| Some(Held { subject: subject.clone(), reason: reason(subject)? })).collect()
}

/// The row of each subject that has one.
fn rows_of<'a>(frame: &Frame, subjects: &'a [Labels]) -> HashMap<&'a Labels, usize> {
    let Some(last) = frame.def.key.last() else {
        return if frame.rows == 0 { HashMap::new() } else { subjects.iter().map(|s| (s, 0)).collect() };
    };
    let Some(ColumnData::Text(names)) = frame.column(last) else { return HashMap::new() };
    let mut wanted: HashMap<&str, Vec<&Labels>> = HashMap::new();
    for subject in subjects {
        wanted.entry(subject.get(last).unwrap_or_default()).or_default().push(subject);
    }
    let by_code: Vec<Option<&Vec<&Labels>>> = names.words().map(|word| wanted.get(word)).collect();
    let candidates = (0..frame.rows).filter_map(|row| {
        let subjects = by_code.get(names.code(row)? as usize).copied().flatten()?;
        Some((row, subjects))
    });
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
        let held = held(&frame, &[subject("b", "t"), subject("c", "t")], |row| Some(format!("row {row}")));
        assert_eq!(held, [Held { subject: subject("b", "t"), reason: "row 1".into() }]);
    }

    #[test]
    fn an_absent_row_is_held_only_where_the_frame_may_have_missed_it() {
        let gone = [subject("a", "gone")];
        assert!(held(&frame(&[("a", "t")], None), &gone, |_| None).is_empty());
        let cut = held(&frame(&[("a", "t")], Some(1)), &gone, |_| None);
        assert_eq!(cut[0].reason, "only the first 1 rows were collected");
    }
}
