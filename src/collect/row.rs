//! Rows into columns, by the frame's description.
//!
//! Columns are found by name. One that is described but not returned is unknown in every row, which is how an older server
//! looks; one that is returned but not described is left aside. A type that does not fit the kind is an error that names the
//! cast: PostgreSQL 14 made `extract` numeric, and a monitor that swallowed that lost metrics for a year.

use std::sync::Arc;

use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Column, Row};

use crate::model::{ColumnData, ColumnKind, FrameDef, TextColumn};

/// Rows that one frame may have.
pub(super) const MAX_FRAME_ROWS: usize = 50_000;

/// Longest text in one cell, in bytes.
const MAX_CELL_BYTES: usize = 16 << 10;

/// The columns of one frame while rows come in.
#[derive(Debug)]
pub(super) struct Columns {
    cells: Vec<Cells>,
    rows: usize,
}

#[derive(Debug)]
enum Cells {
    Float(Vec<f64>),
    Int(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Flag(Vec<u8>),
}

/// Where the values of one described column come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A column of the answer.
    Column(usize),
    /// The name of the database that was asked.
    Database,
    /// Nowhere: this version does not have it.
    Unknown,
}

impl Columns {
    /// No row yet.
    pub fn new(def: &FrameDef) -> Self {
        let cells = def.columns.iter().map(|column| match column.kind {
            ColumnKind::Gauge | ColumnKind::Time => Cells::Float(Vec::new()),
            ColumnKind::Counter => Cells::Int(Vec::new()),
            ColumnKind::Label | ColumnKind::Text => Cells::Text(Vec::new()),
            ColumnKind::Flag => Cells::Flag(Vec::new()),
        });
        Self { cells: cells.collect(), rows: 0 }
    }

    /// Number of rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Takes back rows of an answer that broke off.
    pub fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        for cells in &mut self.cells {
            match cells {
                Cells::Float(v) => v.truncate(rows),
                Cells::Int(v) => v.truncate(rows),
                Cells::Text(v) => v.truncate(rows),
                Cells::Flag(v) => v.truncate(rows),
            }
        }
    }

    /// Adds one row of an answer whose columns were matched by `sources`.
    pub fn push(&mut self, row: &Row, sources: &[Source], database: Option<&str>) -> Result<(), String> {
        for (cells, source) in self.cells.iter_mut().zip(sources) {
            let value = match source {
                Source::Column(at) => row.try_get::<_, Cell>(*at).map_err(|e| super::failure::chain(&e))?,
                Source::Database => database.map_or(Cell::Null, |name| Cell::Text(name.to_string())),
                Source::Unknown => Cell::Null,
            };
            cells.push(value);
        }
        self.rows += 1;
        Ok(())
    }

    /// The finished columns, in the order of the description.
    pub fn finish(self) -> Vec<ColumnData> {
        self.cells.into_iter().map(Cells::finish).collect()
    }
}

impl Cells {
    fn push(&mut self, cell: Cell) {
        match (self, cell) {
            (Self::Float(v), Cell::Float(x)) => v.push(x),
            (Self::Float(v), Cell::Int(n)) => v.push(n as f64),
            (Self::Float(v), _) => v.push(f64::NAN),
            (Self::Int(v), Cell::Int(n)) => v.push(Some(n)),
            (Self::Int(v), _) => v.push(None),
            (Self::Text(v), Cell::Text(text)) => v.push(Some(text)),
            (Self::Text(v), _) => v.push(None),
            (Self::Flag(v), Cell::Flag(flag)) => v.push(u8::from(flag)),
            (Self::Flag(v), _) => v.push(2),
        }
    }

    fn finish(self) -> ColumnData {
        match self {
            Self::Float(v) => ColumnData::Float(v.into()),
            Self::Int(v) => ColumnData::Int(v.into()),
            Self::Text(v) => ColumnData::Text(Arc::new(v.into_iter().collect::<TextColumn>())),
            Self::Flag(v) => ColumnData::Flag(v.into()),
        }
    }
}

/// Matches the described columns with those of an answer; `with_database` lets the host fill in a missing `database`.
pub(super) fn sources(def: &FrameDef, answer: &[Column], with_database: bool) -> Result<Vec<Source>, String> {
    let named: Vec<(&str, &Type)> = answer.iter().map(|column| (column.name(), column.type_())).collect();
    match_columns(def, &named, with_database)
}

fn match_columns(def: &FrameDef, answer: &[(&str, &Type)], with_database: bool) -> Result<Vec<Source>, String> {
    let source = |described: &crate::model::ColumnDef| match answer.iter().position(|(name, _)| *name == described.name) {
        Some(at) => match answer.get(at) {
            Some((_, found)) if !fits(described.kind, found) => Err(format!(
                "column `{}.{}` is {found}, but a {} needs {}: cast it in the SQL",
                def.name,
                described.name,
                described.kind.as_str(),
                wanted(described.kind)
            )),
            _ => Ok(Source::Column(at)),
        },
        None if with_database && described.name == "database" => Ok(Source::Database),
        None => Ok(Source::Unknown),
    };
    def.columns.iter().map(source).collect()
}

fn fits(kind: ColumnKind, found: &Type) -> bool {
    let integer = matches!(*found, Type::INT2 | Type::INT4 | Type::INT8);
    match kind {
        ColumnKind::Gauge | ColumnKind::Time => integer || matches!(*found, Type::FLOAT4 | Type::FLOAT8),
        ColumnKind::Counter => integer,
        ColumnKind::Label | ColumnKind::Text => Cell::is_text(found),
        ColumnKind::Flag => *found == Type::BOOL,
    }
}

fn wanted(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Gauge | ColumnKind::Time => "float8",
        ColumnKind::Counter => "int8",
        ColumnKind::Label | ColumnKind::Text => "text",
        ColumnKind::Flag => "bool",
    }
}

/// One value of the types that frames are made of.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    Float(f64),
    Int(i64),
    Text(String),
    Flag(bool),
}

impl Cell {
    fn is_text(found: &Type) -> bool {
        matches!(*found, Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN)
    }
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *ty {
            Type::FLOAT8 => Self::Float(f64::from_sql(ty, raw)?),
            Type::FLOAT4 => Self::Float(f64::from(f32::from_sql(ty, raw)?)),
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Int(i64::from(i32::from_sql(ty, raw)?)),
            Type::INT2 => Self::Int(i64::from(i16::from_sql(ty, raw)?)),
            Type::BOOL => Self::Flag(bool::from_sql(ty, raw)?),
            _ => Self::Text(text(raw)),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        Self::is_text(ty) || matches!(*ty, Type::FLOAT8 | Type::FLOAT4 | Type::INT8 | Type::INT4 | Type::INT2 | Type::BOOL)
    }
}

/// Text as it can be kept: a database in SQL_ASCII sends any bytes, and no name is worth more than the cap.
fn text(raw: &[u8]) -> String {
    let cut = raw.get(..MAX_CELL_BYTES).unwrap_or(raw);
    let text = String::from_utf8_lossy(cut);
    let cut_in_a_character = cut.len() < raw.len() && text.ends_with('\u{fffd}');
    text.trim_end_matches(|c| cut_in_a_character && c == '\u{fffd}').replace('\0', "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{ColumnDef, Sensitivity, Unit};

    fn def(columns: &[(&str, ColumnKind)]) -> FrameDef {
        let column = |(name, kind): &(&str, ColumnKind)| ColumnDef {
            name: (*name).into(),
            kind: *kind,
            unit: Unit::None,
            sensitivity: Sensitivity::Public,
            doc: String::new(),
        };
        FrameDef { name: "t".into(), doc: String::new(), key: vec![], columns: columns.iter().map(column).collect(), reset_column: None }
    }

    #[test]
    fn columns_are_matched_by_name_and_missing_ones_are_unknown() {
        let def = def(&[("database", ColumnKind::Label), ("n", ColumnKind::Counter), ("later", ColumnKind::Gauge)]);
        let answer = [("extra", &Type::JSON), ("n", &Type::INT8)];
        assert_eq!(match_columns(&def, &answer, true).unwrap(), [Source::Database, Source::Column(1), Source::Unknown]);
        assert_eq!(match_columns(&def, &answer, false).unwrap()[0], Source::Unknown);
    }

    #[test]
    fn a_type_that_does_not_fit_names_the_cast() {
        let def = def(&[("age", ColumnKind::Gauge)]);
        let error = match_columns(&def, &[("age", &Type::NUMERIC)], false).unwrap_err();
        assert_eq!(error, "column `t.age` is numeric, but a gauge needs float8: cast it in the SQL");
        assert!(match_columns(&def, &[("age", &Type::INT4)], false).is_ok());
    }

    #[test]
    fn values_become_the_kinds_of_the_description_and_null_is_unknown() {
        let def = def(&[("g", ColumnKind::Gauge), ("c", ColumnKind::Counter), ("l", ColumnKind::Label), ("f", ColumnKind::Flag)]);
        let mut columns = Columns::new(&def);
        let rows =
            [[Cell::Int(2), Cell::Int(3), Cell::Text("x".into()), Cell::Flag(true)], [Cell::Null, Cell::Null, Cell::Null, Cell::Null]];
        for row in rows {
            for (cells, cell) in columns.cells.iter_mut().zip(row) {
                cells.push(cell);
            }
            columns.rows += 1;
        }
        let finished = columns.finish();
        assert_eq!(finished[0].to_floats().unwrap()[0], 2.0);
        assert!(finished[0].to_floats().unwrap()[1].is_nan());
        assert_eq!(finished[1], ColumnData::Int(vec![Some(3), None].into()));
        assert_eq!(finished[2], ColumnData::Text(Arc::new([Some("x"), None].into_iter().collect())));
        assert_eq!(finished[3], ColumnData::Flag(vec![1, 2].into()));
    }

    #[test]
    fn an_answer_that_broke_off_can_be_taken_back() {
        let mut columns = Columns::new(&def(&[("g", ColumnKind::Gauge)]));
        columns.cells[0].push(Cell::Float(1.0));
        columns.cells[0].push(Cell::Float(2.0));
        columns.rows = 2;
        columns.truncate(1);
        assert_eq!((columns.rows(), columns.finish()[0].len()), (1, 1));
    }

    #[test]
    fn text_is_cut_cleaned_of_zero_bytes_and_never_invalid() {
        assert_eq!(text(b"a\0b"), "ab");
        assert_eq!(text(b"caf\xe9"), "caf\u{fffd}");
        let long = "é".repeat(MAX_CELL_BYTES);
        assert_eq!(text(format!("a{long}").as_bytes()).len(), MAX_CELL_BYTES - 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(raw in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(text(&raw).len() <= 3 * raw.len());
        }
    }
}
