//! Tests of the scripted rules, by what they are about. Here is the world they share: three frames and a builder of
//! inputs.

mod held;
mod language;
mod limits;
mod load;
mod looks;
mod oracle;
mod pairs;
mod rule;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Engine, Limits, compile_script};
use crate::model::*;
use crate::problem::Problem;
use crate::rules::Rule;
use crate::rules::meta::Header;

fn def(name: &str, key: &[&str], columns: &[(&str, ColumnKind, Unit)]) -> FrameDef {
    let column = |(name, kind, unit): &(&str, ColumnKind, Unit)| ColumnDef {
        name: (*name).into(),
        kind: *kind,
        unit: *unit,
        sensitivity: Sensitivity::Public,
        doc: String::new(),
    };
    FrameDef {
        name: name.into(),
        doc: String::new(),
        key: key.iter().map(|k| (*k).into()).collect(),
        columns: columns.iter().map(column).collect(),
        reset_column: None,
    }
}

/// `tables`, `xmin_holders` and the one-row frame `connections`.
pub(crate) fn catalog() -> Catalog {
    use ColumnKind::{Counter, Flag, Gauge, Label, Text};
    use Unit::{Bytes, None, Rows, Seconds};
    let mut catalog = Catalog::default();
    let tables = [
        ("database", Label, None),
        ("schema", Label, None),
        ("table", Label, None),
        ("dead", Gauge, Rows),
        ("live", Gauge, Rows),
        ("vacuum_trigger", Gauge, Rows),
        ("heap_bytes", Gauge, Bytes),
        ("vacuum_age", Gauge, Seconds),
        ("vacuum_running", Flag, None),
        ("autovacuum_enabled", Flag, None),
        ("seq_scan", Counter, None),
        ("idx_scan", Counter, None),
        ("comment", Text, None),
    ];
    catalog.add(def("tables", &["database", "schema", "table"], &tables)).unwrap();
    catalog.add(def("xmin_holders", &["source"], &[("source", Label, None), ("who", Text, None), ("age", Gauge, Seconds)])).unwrap();
    let connections = [("clients", Gauge, None), ("idle", Gauge, None), ("max_connections", Gauge, None), ("reserved", Gauge, None)];
    catalog.add(def("connections", &[], &connections)).unwrap();
    catalog
}

/// A cell of a made-up frame.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell {
    Null,
    N(f64),
    S(&'static str),
    B(bool),
}

pub(crate) use Cell::{B, N, Null, S};

/// A row of a made-up frame: what differs from the default of its column.
pub(crate) type RowOf<'a> = &'a [(&'a str, Cell)];

/// What a healthy row holds.
fn healthy(column: &str) -> Cell {
    match column {
        "database" => S("app"),
        "schema" => S("public"),
        "table" => S("orders"),
        "dead" | "idle" | "reserved" => N(0.0),
        "live" => N(1e6),
        "vacuum_trigger" => N(2e5),
        "heap_bytes" => N(4.0 * 1024f64.powi(3)),
        "vacuum_age" => N(7_200.0),
        "vacuum_running" => B(false),
        "autovacuum_enabled" => B(true),
        "source" => S("session"),
        "who" => S("pid 4711 (etl)"),
        "age" => N(30.0),
        "clients" => N(10.0),
        "max_connections" => N(100.0),
        "seq_scan" | "idx_scan" => N(100.0),
        _ => Null,
    }
}

pub(crate) fn start() -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000)
}

pub(crate) fn frame(name: &str, rows: &[RowOf<'_>], as_of: DateTime<Utc>) -> Arc<Frame> {
    let def = catalog().frame(name).unwrap().clone();
    let cell = |row: RowOf<'_>, column: &str| row.iter().find(|(c, _)| *c == column).map_or_else(|| healthy(column), |(_, cell)| *cell);
    for row in rows {
        assert!(row.iter().all(|(column, _)| def.column(column).is_some()), "{name} has no such column: {row:?}");
    }
    let number = |cell: Cell| match cell {
        N(n) => Some(n),
        B(b) => Some(f64::from(u8::from(b))),
        Null | S(_) => None,
    };
    let column = |c: &ColumnDef| match c.kind {
        ColumnKind::Label | ColumnKind::Text => {
            let texts = rows.iter().map(|row| if let S(text) = cell(row, &c.name) { Some(text) } else { None });
            ColumnData::Text(Arc::new(texts.collect()))
        }
        ColumnKind::Gauge | ColumnKind::Time => {
            ColumnData::Float(rows.iter().map(|row| number(cell(row, &c.name)).unwrap_or(f64::NAN)).collect())
        }
        ColumnKind::Counter => ColumnData::Int(rows.iter().map(|row| number(cell(row, &c.name)).map(|n| n as i64)).collect()),
        ColumnKind::Flag => ColumnData::Flag(rows.iter().map(|row| number(cell(row, &c.name)).map_or(2, |n| n as u8)).collect()),
    };
    let columns = def.columns.iter().map(column).collect();
    Arc::new(Frame::new(def, as_of, columns).unwrap())
}

/// A made-up input.
pub(crate) struct World {
    pub(crate) now: BTreeMap<String, Reading>,
    pub(crate) previous: BTreeMap<String, Arc<Frame>>,
    pub(crate) past: BTreeMap<u64, BTreeMap<String, Arc<Frame>>>,
    pub(crate) active: Vec<Labels>,
    pub(crate) firing: Vec<Labels>,
    pub(crate) settings: BTreeMap<String, SettingValue>,
}

impl World {
    /// Everything is there and nothing is in it.
    pub(crate) fn empty() -> Self {
        let now = catalog().frames().map(|def| (def.name.clone(), Reading::Collected(frame(&def.name, &[], start())))).collect();
        Self { now, previous: BTreeMap::new(), past: BTreeMap::new(), active: vec![], firing: vec![], settings: BTreeMap::new() }
    }

    pub(crate) fn with(mut self, name: &str, rows: &[RowOf<'_>]) -> Self {
        self.now.insert(name.into(), Reading::Collected(frame(name, rows, start())));
        self
    }

    /// The same frame a minute ago.
    pub(crate) fn before(mut self, name: &str, rows: &[RowOf<'_>]) -> Self {
        self.previous.insert(name.into(), frame(name, rows, start() - TimeDelta::minutes(1)));
        self
    }

    /// The same frame that many seconds ago.
    pub(crate) fn ago(mut self, seconds: u64, name: &str, rows: &[RowOf<'_>]) -> Self {
        let then = frame(name, rows, start() - TimeDelta::seconds(seconds as i64));
        self.past.entry(seconds).or_default().insert(name.into(), then);
        self
    }

    pub(crate) fn missing(mut self, name: &str) -> Self {
        self.now.insert(name.into(), Reading::Missing(Missing::new(MissingReason::LockTimeout, "it was locked")));
        self
    }

    pub(crate) fn covering(mut self, name: &str, coverage: Coverage) -> Self {
        if let Some(Reading::Collected(frame)) = self.now.get_mut(name) {
            Arc::make_mut(frame).coverage = coverage;
        }
        self
    }

    /// Subjects that fire.
    pub(crate) fn firing(mut self, subjects: &[Labels]) -> Self {
        self.firing = subjects.to_vec();
        self.active = subjects.to_vec();
        self
    }

    pub(crate) fn input(self, meta: &RuleMeta) -> RuleInput {
        let snapshot = Snapshot {
            form: Snapshot::FORM,
            target: Target { name: "orders-1".into(), ..Target::default() },
            taken_at: start(),
            server: None,
            frames: self.now,
            cost: Cost::default(),
        };
        let mut settings: BTreeMap<String, SettingValue> = meta.settings.iter().map(|s| (s.name.clone(), s.default.clone())).collect();
        settings.extend(self.settings);
        RuleInput {
            now: start(),
            changes: Arc::new(Changes::between(&self.previous, &snapshot)),
            past: Arc::new(self.past),
            snapshot: Arc::new(snapshot),
            firing: Arc::new(self.firing),
            active: Arc::new(self.active),
            settings: Arc::new(Settings(settings)),
        }
    }
}

/// `app.public.<table>`.
pub(crate) fn table(name: &str) -> Labels {
    [("database", "app"), ("schema", "public"), ("table", name)].into_iter().collect()
}

/// The header of a test rule: these inputs and settings.
pub(crate) fn header(inputs: &[&str], settings: &[(&str, f64)]) -> Header {
    let input =
        |name: &&str| Input { frame: name.trim_end_matches('?').into(), column: None, moment: Moment::Now, optional: name.ends_with('?') };
    let setting = |(name, value): &(&str, f64)| SettingDef {
        name: (*name).into(),
        default: SettingValue::Number(*value),
        range: None,
        unit: Unit::None,
        doc: String::new(),
    };
    let meta = RuleMeta {
        id: "r".into(),
        title: "A rule".into(),
        category: "test".into(),
        tier: Tier::Ticket,
        pack: "own".into(),
        enabled: true,
        inputs: inputs.iter().map(input).collect(),
        from: None,
        settings: settings.iter().map(setting).collect(),
        for_s: 0,
        keep_firing_for_s: 0,
        interval_s: 0,
        labels: Labels::default(),
        channels: vec![],
        runbook: String::new(),
        fire_when_missing: false,
        engine: "rhai".into(),
        source: "r.rhai".into(),
        hash: String::new(),
    };
    meta.into()
}

const ALL: [&str; 3] = ["tables", "xmin_holders", "connections"];

/// Compiles a body whose first line is line 10 of its file.
fn compile(header: Header, source: &str) -> Result<Box<dyn Rule>, Vec<String>> {
    let engine = Engine::new(Limits::default());
    compile_script(&engine, header, source, "r.rhai", 10, &catalog())
        .map_err(|problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect())
}

/// What one expression is worth, shown in a finding; or the error.
fn value_of(expression: &str, world: World) -> Result<String, String> {
    let source = format!("finding(#{{summary: `${{{expression}}}`}});");
    let rule = compile(header(&ALL, &[("factor", 2.0)]), &source).map_err(|problems| problems.join("\n"))?;
    match rule.evaluate(&world.input(rule.meta())) {
        Outcome::Ok(evaluation) => Ok(evaluation.findings[0].summary.clone()),
        other => Err(other.reason()),
    }
}

/// Which tables a mask selects, and how many are unknown.
fn hits(mask: &str, world: World) -> (Vec<String>, usize) {
    let source = format!("for t in tables.rows({mask}) {{ finding(t, #{{summary: t.table}}); }}");
    let rule = compile(header(&ALL, &[("factor", 2.0)]), &source).unwrap_or_else(|problems| panic!("{}", problems.join("\n")));
    match rule.evaluate(&world.input(rule.meta())) {
        Outcome::Ok(evaluation) => (evaluation.findings.iter().map(|f| f.summary.clone()).collect(), evaluation.unknown),
        other => panic!("{}", other.reason()),
    }
}
