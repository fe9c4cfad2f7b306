//! Frames: the one shape of data. A frame is a table in columns, with what each column means beside it.
//!
//! Columns are shared (`Arc`), so that handing one to a rule, a script or a store costs nothing. Unknown is explicit:
//! NaN in `Float`, `None` in `Int`, code `u32::MAX` in text, 2 in `Flag`. A NaN sent by a server reads as unknown too,
//! since no rule can judge it. Serialised as JSON with `null` for unknown, so that any tool can read a snapshot.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ColumnDef, ColumnKind, Labels};

/// The description of a frame: what a metric yields, before any row is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameDef {
    /// Name as rules write it.
    pub name: String,
    /// What a row is, one line.
    pub doc: String,
    /// Label columns that identify a row; empty for a frame of one row.
    pub key: Vec<String>,
    /// The described columns, in order.
    pub columns: Vec<ColumnDef>,
    /// Time column whose change says that the row's counters began anew (`stats_reset`, `stats_since`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_column: Option<String>,
}

impl FrameDef {
    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnDef> {
        self.columns.iter().find(|c| c.name == name)
    }
}

/// All frames that rules can read, by name: what the metrics, shipped and custom, declare.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    frames: BTreeMap<String, Arc<FrameDef>>,
}

impl Catalog {
    /// Adds a frame; the name must be new.
    ///
    /// # Errors
    /// Names the frame that is there already.
    pub fn add(&mut self, def: FrameDef) -> Result<(), String> {
        if self.frames.contains_key(&def.name) {
            return Err(format!("a frame `{}` exists already", def.name));
        }
        self.frames.insert(def.name.clone(), Arc::new(def));
        Ok(())
    }

    /// The frame of that name.
    #[must_use]
    pub fn frame(&self, name: &str) -> Option<&Arc<FrameDef>> {
        self.frames.get(name)
    }

    /// All frames by name.
    pub fn frames(&self) -> impl Iterator<Item = &Arc<FrameDef>> {
        self.frames.values()
    }

    /// The frame or column name nearest to one that is not there, for "did you mean".
    #[must_use]
    pub fn nearest<'a>(candidates: impl Iterator<Item = &'a str>, wrong: &str) -> Option<&'a str> {
        candidates
            .map(|name| (strsim::damerau_levenshtein(name, wrong), name))
            .filter(|(distance, _)| *distance <= 2.max(wrong.len() / 3))
            .min()
            .map(|(_, name)| name)
    }
}

impl<'de> Deserialize<'de> for Catalog {
    fn deserialize<D: serde::Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let defs = Vec::<FrameDef>::deserialize(de)?;
        Ok(Self { frames: defs.into_iter().map(|d| (d.name.clone(), Arc::new(d))).collect() })
    }
}

impl Serialize for Catalog {
    fn serialize<S: serde::Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        ser.collect_seq(self.frames.values().map(AsRef::as_ref))
    }
}

/// How much of the world a frame shows. What is not covered is unknown, never "gone".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Only the first N rows by some rank were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<u64>,
    /// Databases that could not be read, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub without_databases: BTreeMap<String, String>,
    /// Relations left out because they are locked or vanished meanwhile: `database.schema.name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_relations: Vec<String>,
}

impl Coverage {
    /// Whether the frame shows everything, so that an absent row is a proven absence.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        *self == Self::default()
    }

    /// Why a subject that has no row may still exist; `None` when its absence is proven.
    #[must_use]
    pub fn gap_for(&self, subject: &Labels) -> Option<String> {
        if let Some(reason) = subject.get("database").and_then(|db| self.without_databases.get(db)) {
            return Some(format!("its database could not be read: {reason}"));
        }
        let path = ["database", "schema", "table"].map(|name| subject.get(name).unwrap_or_default()).join(".");
        if self.without_relations.contains(&path) {
            return Some("the relation was locked".into());
        }
        self.top.map(|n| format!("only the first {n} rows were collected"))
    }
}

/// Text in one buffer, dictionary-coded: a name that stands in 10,000 rows is stored once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "TextWire", into = "TextWire")]
pub struct TextColumn {
    buffer: String,
    ends: Vec<u32>,
    codes: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct TextWire {
    words: Vec<String>,
    codes: Vec<Option<u32>>,
}

const NULL_CODE: u32 = u32::MAX;

impl TextColumn {
    /// The text of one row; `None` when unknown or out of range.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&str> {
        self.word(*self.codes.get(row)?)
    }

    /// The dictionary code of one row, equal exactly for equal texts; `None` when unknown.
    #[must_use]
    pub fn code(&self, row: usize) -> Option<u32> {
        self.codes.get(row).copied().filter(|code| *code != NULL_CODE)
    }

    /// The word that a code stands for.
    #[must_use]
    pub fn word(&self, code: u32) -> Option<&str> {
        let end = *self.ends.get(code as usize)? as usize;
        let start = if code == 0 { 0 } else { self.ends[code as usize - 1] as usize };
        self.buffer.get(start..end)
    }

    /// The distinct words, in order of their codes.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).filter_map(|code| self.word(code))
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Bytes held, for limits.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.buffer.len() + 4 * (self.ends.len() + self.codes.len())
    }
}

impl<S: AsRef<str>> FromIterator<Option<S>> for TextColumn {
    fn from_iter<I: IntoIterator<Item = Option<S>>>(rows: I) -> Self {
        let mut column = Self::default();
        let mut known: HashMap<String, u32> = HashMap::new();
        for row in rows {
            let Some(text) = row else {
                column.codes.push(NULL_CODE);
                continue;
            };
            let text = text.as_ref();
            let code = known.get(text).copied().unwrap_or_else(|| {
                let code = column.ends.len() as u32;
                column.buffer.push_str(text);
                column.ends.push(column.buffer.len() as u32);
                known.insert(text.to_string(), code);
                code
            });
            column.codes.push(code);
        }
        column
    }
}

impl From<TextWire> for TextColumn {
    fn from(wire: TextWire) -> Self {
        wire.codes.into_iter().map(|code| code.and_then(|c| wire.words.get(c as usize).cloned())).collect()
    }
}

impl From<TextColumn> for TextWire {
    fn from(column: TextColumn) -> Self {
        Self {
            words: column.words().map(String::from).collect(),
            codes: column.codes.iter().map(|code| (*code != NULL_CODE).then_some(*code)).collect(),
        }
    }
}

/// The values of one column. Which variant holds which kind: `Float` gauge and time, `Int` counter, `Text` label and
/// text, `Flag` flag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnData {
    /// Numbers; NaN is unknown.
    Float(#[serde(with = "floats")] Arc<[f64]>),
    /// Exact integers.
    Int(#[serde(with = "shared")] Arc<[Option<i64>]>),
    /// Texts.
    Text(#[serde(with = "shared_text")] Arc<TextColumn>),
    /// 0 false, 1 true, 2 unknown.
    Flag(#[serde(with = "flags")] Arc<[u8]>),
}

impl ColumnData {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Float(v) => v.len(),
            Self::Int(v) => v.len(),
            Self::Text(v) => v.len(),
            Self::Flag(v) => v.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as rules compute with them: `f64` with NaN for unknown. Flags become 1 and 0. `None` for text.
    #[must_use]
    pub fn to_floats(&self) -> Option<Arc<[f64]>> {
        match self {
            Self::Float(v) => Some(v.clone()),
            Self::Int(v) => Some(v.iter().map(|x| x.map_or(f64::NAN, |n| n as f64)).collect()),
            Self::Flag(v) => Some(v.iter().map(|x| if *x == 2 { f64::NAN } else { f64::from(*x) }).collect()),
            Self::Text(_) => None,
        }
    }

    /// Whether the variant fits the kind that the description names.
    #[must_use]
    pub fn fits(&self, kind: ColumnKind) -> bool {
        matches!(
            (self, kind),
            (Self::Float(_), ColumnKind::Gauge | ColumnKind::Time)
                | (Self::Int(_), ColumnKind::Counter)
                | (Self::Text(_), ColumnKind::Label | ColumnKind::Text)
                | (Self::Flag(_), ColumnKind::Flag)
        )
    }

    /// An all-unknown column of that kind: what a server of an older version yields for a column it does not have.
    #[must_use]
    pub fn unknown(kind: ColumnKind, rows: usize) -> Self {
        match kind {
            ColumnKind::Gauge | ColumnKind::Time => Self::Float(vec![f64::NAN; rows].into()),
            ColumnKind::Counter => Self::Int(vec![None; rows].into()),
            ColumnKind::Label | ColumnKind::Text => Self::Text(Arc::new((0..rows).map(|_| None::<&str>).collect())),
            ColumnKind::Flag => Self::Flag(vec![2; rows].into()),
        }
    }
}

/// A collected table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// What it is; shared by all frames of one metric.
    #[serde(with = "shared_def")]
    pub def: Arc<FrameDef>,
    /// When it was read (the host's clock, once per frame).
    pub as_of: DateTime<Utc>,
    /// The life of the server that its counters belong to (cluster, postmaster start, timeline); `None` for frames
    /// that the host made itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// How much of the world it shows.
    #[serde(default, skip_serializing_if = "Coverage::is_complete")]
    pub coverage: Coverage,
    /// Number of rows.
    pub rows: usize,
    /// Values by column, in the order of `def.columns`.
    pub columns: Vec<ColumnData>,
}

impl Frame {
    /// Puts columns and description together.
    ///
    /// # Errors
    /// When a column is missing, of another length than the first, or of a variant that does not fit its kind.
    pub fn new(def: Arc<FrameDef>, as_of: DateTime<Utc>, columns: Vec<ColumnData>) -> Result<Self, String> {
        if columns.len() != def.columns.len() {
            return Err(format!("frame `{}` has {} columns, {} are described", def.name, columns.len(), def.columns.len()));
        }
        let rows = columns.first().map_or(0, ColumnData::len);
        for (described, data) in def.columns.iter().zip(&columns) {
            if data.len() != rows || !data.fits(described.kind) {
                return Err(format!("column `{}.{}` does not fit its description", def.name, described.name));
            }
        }
        Ok(Self { def, as_of, epoch: None, coverage: Coverage::default(), rows, columns })
    }

    /// The values of one column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnData> {
        let at = self.def.columns.iter().position(|c| c.name == name)?;
        self.columns.get(at)
    }

    /// The number in one cell; `None` when unknown, not a number, or not there.
    #[must_use]
    pub fn number(&self, column: &str, row: usize) -> Option<f64> {
        match self.column(column)? {
            ColumnData::Float(v) => v.get(row).copied().filter(|x| !x.is_nan()),
            ColumnData::Int(v) => v.get(row).copied().flatten().map(|n| n as f64),
            ColumnData::Flag(v) => v.get(row).filter(|x| **x != 2).map(|x| f64::from(*x)),
            ColumnData::Text(_) => None,
        }
    }

    /// The text in one cell.
    #[must_use]
    pub fn text(&self, column: &str, row: usize) -> Option<&str> {
        match self.column(column)? {
            ColumnData::Text(v) => v.get(row),
            _ => None,
        }
    }

    /// Who a row is: its key columns. A key column that is unknown is left out.
    #[must_use]
    pub fn subject(&self, row: usize) -> Labels {
        self.def.key.iter().filter_map(|name| Some((name.clone(), self.text(name, row)?.to_string()))).collect()
    }

    /// The row of each subject. Built on demand: only `changes` and rules with active alerts need it.
    #[must_use]
    pub fn index(&self) -> HashMap<Labels, usize> {
        (0..self.rows).map(|row| (self.subject(row), row)).collect()
    }
}

mod floats {
    use super::{Arc, Deserialize};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(values: &Arc<[f64]>, ser: S) -> Result<S::Ok, S::Error> {
        ser.collect_seq(values.iter().map(|v| (!v.is_nan()).then_some(*v)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Arc<[f64]>, D::Error> {
        Ok(Vec::<Option<f64>>::deserialize(de)?.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }
}

mod flags {
    use super::{Arc, Deserialize};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(values: &Arc<[u8]>, ser: S) -> Result<S::Ok, S::Error> {
        ser.collect_seq(values.iter().map(|v| (*v != 2).then_some(*v == 1)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Arc<[u8]>, D::Error> {
        Ok(Vec::<Option<bool>>::deserialize(de)?.into_iter().map(|v| v.map_or(2, u8::from)).collect())
    }
}

mod shared {
    use super::{Arc, Deserialize};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(values: &Arc<[Option<i64>]>, ser: S) -> Result<S::Ok, S::Error> {
        ser.collect_seq(values.iter())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Arc<[Option<i64>]>, D::Error> {
        Ok(Vec::deserialize(de)?.into())
    }
}

mod shared_text {
    use super::{Arc, Deserialize, TextColumn};
    use serde::{Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(values: &Arc<TextColumn>, ser: S) -> Result<S::Ok, S::Error> {
        values.as_ref().serialize(ser)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Arc<TextColumn>, D::Error> {
        TextColumn::deserialize(de).map(Arc::new)
    }
}

mod shared_def {
    use super::{Arc, Deserialize, FrameDef};
    use serde::{Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(def: &Arc<FrameDef>, ser: S) -> Result<S::Ok, S::Error> {
        def.as_ref().serialize(ser)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Arc<FrameDef>, D::Error> {
        FrameDef::deserialize(de).map(Arc::new)
    }
}
