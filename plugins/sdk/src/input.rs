//! Whole frames, for algorithms: all rows of a frame in memory, each with its number.

use std::ops::Deref;

use crate::wire::{Entry, Value};

/// A row with its number. It reads like the row itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen<R> {
    /// Its number, for [`Finding::on`](crate::wire::Finding::on) and [`Evaluation::unknown`](crate::wire::Evaluation::unknown).
    pub row: u32,
    /// Whether its alert fires now; only in the rule's own frame.
    pub firing: bool,
    inner: R,
}

impl<R> Seen<R> {
    pub(crate) fn new(row: u32, firing: bool, inner: R) -> Self {
        Self { row, firing, inner }
    }
}

impl<R> Deref for Seen<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.inner
    }
}

/// The rows of a frame, as a slice. Those in which a required value is unknown are left out: the host knows them, and holds their
/// alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows<R> {
    pub(crate) rows: Vec<Seen<R>>,
    /// How many rows were left out.
    pub left_out: u32,
    /// Seconds between the reading and the tick.
    pub age: f64,
    /// Seconds between this reading and the one before.
    pub interval: Option<f64>,
    /// How many rows were collected at most, where the frame holds only the first by some rank.
    pub top: Option<f64>,
}

impl<R> Rows<R> {
    /// These rows, numbered from 0: for tests.
    #[must_use]
    pub fn of(rows: Vec<R>) -> Self {
        let rows = (0..).zip(rows).map(|(row, inner)| Seen::new(row, false, inner)).collect();
        Self { rows, left_out: 0, age: 0.0, interval: None, top: None }
    }
}

impl<R> Deref for Rows<R> {
    type Target = [Seen<R>];

    fn deref(&self) -> &[Seen<R>] {
        &self.rows
    }
}

impl<'a, R> IntoIterator for &'a Rows<R> {
    type Item = &'a Seen<R>;
    type IntoIter = std::slice::Iter<'a, Seen<R>>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

/// What a rule over whole frames is given: the rows of its own frame, and what the tick is about. `Input` without a type is for a rule
/// about the whole server.
#[derive(Debug, Clone, PartialEq)]
pub struct Input<R = ()> {
    /// The rows of the rule's own frame.
    pub rows: Rows<R>,
    /// The tick's time, in seconds since 1970, UTC.
    pub now: f64,
    /// Whether any alert of the rule fires now.
    pub firing: bool,
    pub(crate) facts: Vec<Entry>,
}

impl<R> Input<R> {
    /// These rows at time 0: for tests.
    #[must_use]
    pub fn of(rows: Vec<R>) -> Self {
        Self { rows: Rows::of(rows), now: 0.0, firing: false, facts: Vec::new() }
    }

    /// A fact about the target, as far as it is known: "target", "cluster", "server_version_num", "in_recovery",
    /// or "label." with a name.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&Value> {
        self.facts.iter().rev().find(|entry| entry.key == name).map(|entry| &entry.value)
    }

    /// The same with a fact more: for tests.
    #[must_use]
    pub fn with_fact(mut self, name: &str, value: Value) -> Self {
        self.facts.push(Entry { key: name.into(), value });
        self
    }
}
