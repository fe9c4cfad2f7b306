//! Rows as authors see them, read from the columns of the wire by index. Nothing is allocated for a row.

use crate::host;
use crate::wire::Column;

/// Something that a row reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// `frame.column`, or `rate(frame.column)` and the like.
    pub input: &'static str,
    /// Whether the rule can do without it.
    pub optional: bool,
}

/// A struct whose fields are columns of a frame; `plugin!` makes it.
pub trait Row: Sized {
    /// The frame; empty for a rule about the whole server.
    const FRAME: &'static str;
    /// One for each field, in order.
    const NEEDS: &'static [Need];

    /// Reads a row; `None` when a value that it cannot do without is unknown.
    fn read(cells: Cells<'_>) -> Option<Self>;
}

/// The own rows of a rule about the whole server: none.
impl Row for () {
    const FRAME: &'static str = "";
    const NEEDS: &'static [Need] = &[];

    fn read(_: Cells<'_>) -> Option<Self> {
        None
    }
}

/// A value of a row: `f64`, `bool`, [`Label`], or an `Option` of one, which may be unknown.
pub trait Field: Sized {
    /// Whether it may be unknown.
    const OPTIONAL: bool;

    /// From a number of the wire; `None` when it is unknown and must not be.
    fn read(value: f64, row: u32, column: &'static str) -> Option<Self>;
}

impl Field for f64 {
    const OPTIONAL: bool = false;

    fn read(value: f64, _: u32, _: &'static str) -> Option<Self> {
        (!value.is_nan()).then_some(value)
    }
}

impl Field for bool {
    const OPTIONAL: bool = false;

    fn read(value: f64, _: u32, _: &'static str) -> Option<Self> {
        (!value.is_nan()).then_some(value != 0.0)
    }
}

impl Field for Label {
    const OPTIONAL: bool = false;

    fn read(value: f64, row: u32, column: &'static str) -> Option<Self> {
        (!value.is_nan()).then_some(Self { id: value.to_bits(), row, column })
    }
}

impl<T: Field> Field for Option<T> {
    const OPTIONAL: bool = true;

    fn read(value: f64, row: u32, column: &'static str) -> Option<Self> {
        Some(T::read(value, row, column))
    }
}

/// A cursor over the values of one row, in the order of the needs.
#[derive(Debug, Clone, Copy)]
pub struct Cells<'a> {
    pub(crate) columns: &'a [Column],
    pub(crate) needs: &'static [Need],
    pub(crate) firing: &'a [bool],
    pub(crate) row: u32,
    pub(crate) at: usize,
}

impl Cells<'_> {
    /// The next value; `None` when it is unknown and must not be.
    #[inline]
    pub fn take<T: Field>(&mut self) -> Option<T> {
        let values = self.columns.get(self.at).map_or(&[][..], |column| &column.values);
        let name = self.needs.get(self.at).map_or("", |need| need.input);
        self.at += 1;
        T::read(values.get(self.row as usize).copied().unwrap_or(f64::NAN), self.row, name)
    }

    /// Whether the alert of this row fires now.
    #[must_use]
    pub fn firing(&self) -> bool {
        self.firing.get(self.row as usize).copied().unwrap_or(false)
    }
}

/// A value of a label or text column. It crosses as a number; two of one column are equal exactly where the texts are, so comparing and
/// hashing are cheap. Those of different columns are compared by their [`text`](Self::text), for which the host is asked.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    id: u64,
    row: u32,
    column: &'static str,
}

impl Label {
    /// The words; empty where the host does not know them.
    #[must_use]
    pub fn text(&self) -> String {
        host::text(self.column, &[self.row]).ok().and_then(|texts| texts.into_iter().next().flatten()).unwrap_or_default()
    }

    /// The words of many, which is one call where all are of one column.
    #[must_use]
    pub fn texts(labels: &[Self]) -> Vec<String> {
        let Some(first) = labels.first() else { return Vec::new() };
        if labels.iter().any(|label| label.column != first.column) {
            return labels.iter().map(Self::text).collect();
        }
        let rows: Vec<u32> = labels.iter().map(|label| label.row).collect();
        let mut texts = host::text(first.column, &rows).unwrap_or_default();
        texts.resize(labels.len(), None);
        texts.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// A label with these words, for native tests.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn named(text: &str) -> Self {
        let row = crate::testing::named(text);
        Self { id: f64::from(row).to_bits(), row, column: "" }
    }
}

/// One without words, so that rows have a `Default` in tests.
impl Default for Label {
    fn default() -> Self {
        Self { id: f64::NAN.to_bits(), row: u32::MAX, column: "" }
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Label {}

impl std::hash::Hash for Label {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}
