//! Which row of a frame a subject is. Made once a frame and shared by all rules of a tick: with 10,000 tables it costs
//! milliseconds, and every rule with living alerts asks.
//!
//! A memo, not state: an entry is found by the identity of the frame and dies with it.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::model::{Frame, Labels};

/// Rows by who they are.
#[derive(Debug)]
pub(super) struct RowIndex(HashMap<String, u32>);

impl RowIndex {
    fn of(frame: &Frame, key: &[String]) -> Self {
        let mut rows = HashMap::with_capacity(frame.rows);
        for row in 0..frame.rows {
            // The first of equals stays, as it does in `changes`.
            rows.entry(key_of(key, |name| frame.text(name, row))).or_insert(row as u32);
        }
        Self(rows)
    }

    /// The row of a subject.
    pub(super) fn row(&self, key: &[String], subject: &Labels) -> Option<usize> {
        self.0.get(&key_of(key, |name| subject.get(name))).map(|row| *row as usize)
    }
}

/// Length-prefixed, so that no value can imitate a boundary.
fn key_of<'a>(key: &[String], value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut text = String::with_capacity(48);
    for name in key {
        match value(name) {
            Some(value) => write!(text, "{}:{value}", value.len()).unwrap_or_default(),
            None => text.push('-'),
        }
    }
    text
}

/// The indexes of living frames.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    memo: Mutex<Vec<Known>>,
}

#[derive(Debug)]
struct Known {
    frame: Weak<Frame>,
    key: Vec<String>,
    index: Arc<RowIndex>,
}

impl Indexes {
    /// The index of a frame by these label columns.
    pub(super) fn of(&self, frame: &Arc<Frame>, key: &[String]) -> Arc<RowIndex> {
        let mut memo = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        memo.retain(|known| known.frame.strong_count() > 0);
        if let Some(known) = memo.iter().find(|known| std::ptr::eq(known.frame.as_ptr(), Arc::as_ptr(frame)) && known.key == key) {
            return known.index.clone();
        }
        let index = Arc::new(RowIndex::of(frame, key));
        memo.push(Known { frame: Arc::downgrade(frame), key: key.to_vec(), index: index.clone() });
        index
    }
}
