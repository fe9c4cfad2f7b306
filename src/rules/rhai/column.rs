//! Columns, masks and text columns as scripts hold them, and the loops over them: one tight pass an operator.
//!
//! Unknown is NaN in a column and 2 in a mask, and stays unknown through every operator. A column keeps the frame that
//! it came from, so that two frames are never joined row by row by mistake; only a frame without a key, which has one
//! row, joins every other.

use std::sync::Arc;

use super::error::{Answer, wrong};
use super::limits::{Charge, Meter};
use super::view::View;
use crate::model::TextColumn;

/// Values that are shared, with the room they take if a script made them.
#[derive(Debug)]
pub(super) struct Buffer<T> {
    values: Arc<[T]>,
    charge: Option<Arc<Charge>>,
}

impl<T> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), charge: self.charge.clone() }
    }
}

impl<T> std::ops::Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values
    }
}

impl<T> From<Arc<[T]>> for Buffer<T> {
    /// Values that the snapshot holds anyway.
    fn from(values: Arc<[T]>) -> Self {
        Self { values, charge: None }
    }
}

impl<T> Buffer<T> {
    /// Values that the script makes; counted before they are made.
    pub(super) fn made(meter: &Arc<Meter>, values: impl ExactSizeIterator<Item = T>) -> Answer<Self> {
        let charge = Some(Arc::new(meter.charge(values.len() * size_of::<T>())?));
        Ok(Self { values: values.collect(), charge })
    }
}

/// Numbers, one a row of a frame.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) values: Buffer<f64>,
    pub(super) of: Arc<View>,
    /// The frame's column that this is, unchanged.
    pub(super) name: Option<Arc<str>>,
    /// Whether it counts since some reset, so that two of them must not be subtracted.
    pub(super) counter: bool,
}

/// True, false or unknown, one a row of a frame.
#[derive(Debug, Clone)]
pub(super) struct Mask {
    pub(super) values: Buffer<u8>,
    pub(super) of: Arc<View>,
}

/// Texts, one a row of a frame.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    pub(super) values: Arc<TextColumn>,
    pub(super) of: Arc<View>,
}

/// How the rows of two operands meet.
enum Join {
    /// Row by row.
    Rows,
    /// The left one is one value for every row of the right one.
    LeftIsOne,
    /// The right one is one value for every row of the left one.
    RightIsOne,
}

fn join(left: &Arc<View>, right: &Arc<View>) -> Answer<Join> {
    if left.is_same(right) {
        Ok(Join::Rows)
    } else if right.is_one_row() {
        Ok(Join::RightIsOne)
    } else if left.is_one_row() {
        Ok(Join::LeftIsOne)
    } else {
        wrong(format!("a column of `{}` meets one of `{}`: rows of two frames are not joined", left.name(), right.name()))
    }
}

/// One pass over two operands that belong to frames.
fn zip<A: Copy, B: Copy, C>(
    meter: &Arc<Meter>,
    (left, left_of): (&[A], &Arc<View>),
    (right, right_of): (&[B], &Arc<View>),
    (no_left, no_right): (A, B),
    pair: impl Fn(A, B) -> C,
) -> Answer<(Buffer<C>, Arc<View>)> {
    Ok(match join(left_of, right_of)? {
        Join::Rows => (Buffer::made(meter, left.iter().zip(right).map(|(a, b)| pair(*a, *b)))?, left_of.clone()),
        Join::RightIsOne => {
            let one = right.first().copied().unwrap_or(no_right);
            (Buffer::made(meter, left.iter().map(|a| pair(*a, one)))?, left_of.clone())
        }
        Join::LeftIsOne => {
            let one = left.first().copied().unwrap_or(no_left);
            (Buffer::made(meter, right.iter().map(|b| pair(one, *b)))?, right_of.clone())
        }
    })
}

impl Column {
    /// A computed column of the same rows.
    pub(super) fn map(&self, meter: &Arc<Meter>, f: impl Fn(f64) -> f64) -> Answer<Self> {
        let values = Buffer::made(meter, self.values.iter().map(|v| f(*v)))?;
        Ok(Self { values, of: self.of.clone(), name: None, counter: self.counter })
    }

    /// A computed column of two.
    pub(super) fn zip(&self, meter: &Arc<Meter>, other: &Self, f: impl Fn(f64, f64) -> f64) -> Answer<Self> {
        let (values, of) = zip(meter, (&self.values, &self.of), (&other.values, &other.of), (f64::NAN, f64::NAN), f)?;
        Ok(Self { values, of, name: None, counter: self.counter || other.counter })
    }

    /// Each value held against one number.
    pub(super) fn test(&self, meter: &Arc<Meter>, f: impl Fn(f64) -> bool) -> Answer<Mask> {
        let values = Buffer::made(meter, self.values.iter().map(|v| known(f(*v), v.is_nan())))?;
        Ok(Mask { values, of: self.of.clone() })
    }

    /// Each value held against another column's.
    pub(super) fn test_with(&self, meter: &Arc<Meter>, other: &Self, f: impl Fn(f64, f64) -> bool) -> Answer<Mask> {
        let pair = |a: f64, b: f64| known(f(a, b), a.is_nan() | b.is_nan());
        let (values, of) = zip(meter, (&self.values, &self.of), (&other.values, &other.of), (f64::NAN, f64::NAN), pair)?;
        Ok(Mask { values, of })
    }

    /// The value of one row; NaN when unknown or when there is no such row.
    pub(super) fn at(&self, row: usize) -> f64 {
        self.values.get(row).copied().unwrap_or(f64::NAN)
    }

    /// The same values, no longer a counter.
    pub(super) fn plain(mut self) -> Self {
        self.counter = false;
        self
    }
}

/// A verdict as a mask holds it; no branch, so that the loop stays vectorised.
fn known(verdict: bool, unknown: bool) -> u8 {
    (u8::from(verdict) & !u8::from(unknown)) | (u8::from(unknown) << 1)
}

impl Mask {
    /// Both; false wins over unknown.
    pub(super) fn and(&self, meter: &Arc<Meter>, other: &Self) -> Answer<Self> {
        self.zip(meter, other, kleene_and)
    }

    /// Either; true wins over unknown.
    pub(super) fn or(&self, meter: &Arc<Meter>, other: &Self) -> Answer<Self> {
        self.zip(meter, other, kleene_or)
    }

    /// The contrary; unknown stays.
    pub(super) fn not(&self, meter: &Arc<Meter>) -> Answer<Self> {
        self.map(meter, |v| (v ^ 1) & !(v >> 1))
    }

    pub(super) fn zip(&self, meter: &Arc<Meter>, other: &Self, f: impl Fn(u8, u8) -> u8) -> Answer<Self> {
        let (values, of) = zip(meter, (&self.values, &self.of), (&other.values, &other.of), (2, 2), f)?;
        Ok(Self { values, of })
    }

    pub(super) fn map(&self, meter: &Arc<Meter>, f: impl Fn(u8) -> u8) -> Answer<Self> {
        Ok(Self { values: Buffer::made(meter, self.values.iter().map(|v| f(*v)))?, of: self.of.clone() })
    }

    /// Rows that are true.
    pub(super) fn hits(&self) -> usize {
        self.values.iter().filter(|v| **v == 1).count()
    }

    /// Rows that are unknown.
    pub(super) fn unknowns(&self) -> usize {
        self.values.iter().filter(|v| **v == 2).count()
    }

    /// The first of two where true, the second where false, unknown where unknown.
    pub(super) fn choose(&self, meter: &Arc<Meter>, yes: &Operand, no: &Operand) -> Answer<Column> {
        let mut of = self.of.clone();
        for column in [yes, no].into_iter().filter_map(Operand::column) {
            if let Join::LeftIsOne = join(&of, &column.of)? {
                of = column.of.clone();
            }
        }
        let (yes_at, no_at) = (yes.reader(&of), no.reader(&of));
        let one = if self.of.is_same(&of) { None } else { Some(self.values.first().copied().unwrap_or(2)) };
        let row = |row| match one.or_else(|| self.values.get(row).copied()) {
            Some(1) => yes_at(row),
            Some(0) => no_at(row),
            _ => f64::NAN,
        };
        let counter = [yes, no].into_iter().filter_map(Operand::column).any(|c| c.counter);
        let values = Buffer::made(meter, (0..of.rows()).map(row))?;
        Ok(Column { values, of, name: None, counter })
    }
}

/// A column, or one number for all rows.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    One(f64),
    Rows(Column),
}

impl Operand {
    fn column(&self) -> Option<&Column> {
        match self {
            Self::Rows(column) => Some(column),
            Self::One(_) => None,
        }
    }

    /// The value at a row of a frame that this has been joined with.
    fn reader<'a>(&'a self, of: &View) -> impl Fn(usize) -> f64 + use<'a> {
        let (one, rows) = match self {
            Self::One(value) => (*value, None),
            Self::Rows(column) if column.of.is_same(of) => (f64::NAN, Some(&column.values)),
            Self::Rows(column) => (column.at(0), None),
        };
        move |row| rows.map_or(one, |values| values.get(row).copied().unwrap_or(f64::NAN))
    }
}

/// False is 0, true 1, unknown 2: `a | b` is right but for 3 (true and unknown), which is unknown.
pub(super) fn kleene_and(a: u8, b: u8) -> u8 {
    let both = a | b;
    (both & !(both >> 1)) * u8::from((a != 0) & (b != 0))
}

/// As for `kleene_and`; here 3 is true.
pub(super) fn kleene_or(a: u8, b: u8) -> u8 {
    let both = a | b;
    if both & 1 == 1 { 1 } else { both }
}

impl Texts {
    /// Each text held against a test, which is asked once a distinct word.
    pub(super) fn test(&self, meter: &Arc<Meter>, f: impl Fn(&str) -> bool) -> Answer<Mask> {
        let verdicts: Vec<u8> = self.values.words().map(|word| u8::from(f(word))).collect();
        let row = |row| self.values.code(row).map_or(2, |code| verdicts.get(code as usize).copied().unwrap_or(2));
        Ok(Mask { values: Buffer::made(meter, (0..self.values.len()).map(row))?, of: self.of.clone() })
    }

    /// Each text held against another column's.
    pub(super) fn same_as(&self, meter: &Arc<Meter>, other: &Self, equal: bool) -> Answer<Mask> {
        let rows = |texts: &Self| (0..texts.values.len() as u32).collect::<Vec<_>>();
        let pair = |a: u32, b: u32| match (self.values.get(a as usize), other.values.get(b as usize)) {
            (Some(a), Some(b)) => u8::from((a == b) == equal),
            _ => 2,
        };
        let (values, of) = zip(meter, (&rows(self), &self.of), (&rows(other), &other.of), (u32::MAX, u32::MAX), pair)?;
        Ok(Mask { values, of })
    }

    /// Which rows are unknown.
    pub(super) fn nulls(&self, meter: &Arc<Meter>) -> Answer<Mask> {
        let row = |row| u8::from(self.values.code(row).is_none());
        Ok(Mask { values: Buffer::made(meter, (0..self.values.len()).map(row))?, of: self.of.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_valued_logic_is_kleenes() {
        let (f, t, u) = (0, 1, 2);
        let table: Vec<(u8, u8)> = [(f, f), (f, t), (f, u), (t, f), (t, t), (t, u), (u, f), (u, t), (u, u)]
            .map(|(a, b)| (kleene_and(a, b), kleene_or(a, b)))
            .into();
        assert_eq!(table, [(f, f), (f, t), (f, u), (f, t), (t, t), (u, t), (f, u), (u, t), (u, u)]);
    }

    #[test]
    fn a_verdict_about_nothing_is_unknown() {
        assert_eq!([known(true, false), known(false, false), known(true, true), known(false, true)], [1, 0, 2, 2]);
    }
}
