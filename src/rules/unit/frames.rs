//! Builds what a tick sees from what a case says: snapshot, changes and past frames.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::cells::Cell;
use super::file::{Given, Row};
use crate::model::{
    Catalog, ChangeState, Changes, ColumnData, ColumnDef, ColumnKind, Cost, Frame, FrameChanges, FrameDef, Missing, MissingReason, Moment,
    Reading, RuleMeta, Server, Snapshot, Target,
};

/// What the frames of a test have in common.
#[derive(Clone, Copy)]
pub(super) struct Stage<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) meta: &'a RuleMeta,
    pub(super) healthy: &'a BTreeMap<String, Row>,
    pub(super) every_s: u64,
    pub(super) history_s: Option<u64>,
    /// What the case says of the reading before.
    pub(super) previous: &'a BTreeMap<String, Given>,
    /// Whether rates may be absent because the reading before is another tick of a series.
    pub(super) running: bool,
}

/// Frames by name.
pub(super) type Frames = BTreeMap<String, Arc<Frame>>;

/// All that a rule is given at one time.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) now: DateTime<Utc>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) changes: Arc<Changes>,
    pub(super) past: Arc<BTreeMap<u64, Frames>>,
}

/// When every test begins.
pub(super) fn start() -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_454)
}

impl Stage<'_> {
    /// The scene of one tick. `earlier` holds the readings before; the error lists what the test does not say.
    pub(super) fn scene(&self, now: DateTime<Utc>, given: &BTreeMap<String, Given>, earlier: &Frames) -> Result<Scene, Vec<String>> {
        let mut problems = Vec::new();
        let (mut readings, mut changes, mut past) = (BTreeMap::new(), Changes::default(), BTreeMap::<u64, Frames>::new());
        for name in self.names(given) {
            let Some(def) = self.catalog.frame(&name) else { continue };
            let rows = match self.rows(def, given.get(&name)) {
                Ok(rows) => rows,
                Err(missing) => {
                    readings.insert(name, Reading::Missing(missing));
                    continue;
                }
            };
            let before = earlier.get(&name);
            problems.extend(self.lacks(def, &rows));
            let frame = Arc::new(frame(def, now, &rows, Moment::Now));
            if let Some(change) = self.change(&frame, &rows, before) {
                changes.frames.insert(name.clone(), Arc::new(change));
            }
            for window in self.windows(&name) {
                let then = now - TimeDelta::seconds(window as i64);
                past.entry(window).or_default().insert(name.clone(), Arc::new(past_frame(def, then, &rows, window)));
            }
            readings.insert(name, Reading::Collected(frame));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let server = Server { version_num: 160_000, version: "16.0".into(), ..Server::default() };
        let snapshot = Snapshot {
            form: Snapshot::FORM,
            target: Target { name: "test".into(), ..Target::default() },
            taken_at: now,
            server: Some(server),
            frames: readings,
            cost: Cost::default(),
        };
        Ok(Scene { now, snapshot: Arc::new(snapshot), changes: Arc::new(changes), past: Arc::new(past) })
    }

    /// The readings that `previous:` describes.
    pub(super) fn earlier(&self, now: DateTime<Utc>) -> Frames {
        let then = now - TimeDelta::seconds(self.every_s as i64);
        let one = |(name, given): (&String, &Given)| {
            let def = self.catalog.frame(name)?;
            let rows = self.rows(def, Some(given)).ok()?;
            Some((name.clone(), Arc::new(frame(def, then, &rows, Moment::Now))))
        };
        self.previous.iter().filter_map(one).collect()
    }

    /// The frames that the rule reads or the test mentions.
    fn names(&self, given: &BTreeMap<String, Given>) -> BTreeSet<String> {
        let read = self.meta.inputs.iter().map(|input| &input.frame).chain(&self.meta.from);
        read.chain(self.healthy.keys()).chain(given.keys()).cloned().collect()
    }

    /// What is given over what is healthy; one healthy row where nothing is given.
    pub(super) fn rows(&self, def: &FrameDef, given: Option<&Given>) -> Result<Vec<Row>, Missing> {
        let healthy = self.healthy.get(&def.name);
        let over = |row: &Row| {
            let mut whole = healthy.cloned().unwrap_or_default();
            whole.extend(row.clone());
            whole
        };
        match (given, healthy) {
            (Some(Given::Rows(rows)), _) => Ok(rows.iter().map(over).collect()),
            (Some(Given::Missing(missing)), _) => Err(missing.clone()),
            (None, Some(healthy)) => Ok(vec![healthy.clone()]),
            (None, None) => Err(Missing::new(MissingReason::NotCollected, format!("the test says nothing of `{}`", def.name))),
        }
    }

    /// The cells that the rule reads and the test does not give.
    fn lacks(&self, def: &FrameDef, rows: &[Row]) -> Vec<String> {
        let reads = self.meta.inputs.iter().filter(|i| i.frame == def.name);
        let reads = reads.filter_map(|input| Some((input.column.clone()?, input.moment, input.to_string())));
        let from = self.meta.from.as_ref().is_some_and(|from| *from == def.name);
        let key = def.key.iter().filter(|_| from).map(|name| (name.clone(), Moment::Now, format!("{}.{name}", def.name)));
        let absent = |(column, moment, _): &(String, Moment, String)| {
            let excused = match moment {
                Moment::Now => false,
                Moment::Rate | Moment::Previous => self.running || self.previous.contains_key(&def.name),
                Moment::Delta(w) | Moment::Ago(w) => self.history_s.is_some_and(|history| history < *w),
            };
            let given = |row: &Row| {
                row.contains_key(&(column.clone(), *moment))
                    || (*moment == Moment::Now && row.keys().any(|(c, m)| c == column && matches!(m, Moment::Delta(_))))
            };
            def.column(column).is_some() && !excused && !rows.iter().all(given)
        };
        let lacking: BTreeSet<String> = reads.chain(key).filter(absent).map(|(.., shown)| shown).collect();
        lacking.into_iter().map(|shown| format!("the rule reads `{shown}`, but neither `healthy` nor the case gives it")).collect()
    }

    /// What counters did: as the case says, or as two readings show.
    fn change(&self, now: &Arc<Frame>, rows: &[Row], before: Option<&Arc<Frame>>) -> Option<FrameChanges> {
        let said = rows.iter().any(|row| row.keys().any(|(_, moment)| matches!(moment, Moment::Rate | Moment::Previous)));
        let worked_out = before.and_then(|before| FrameChanges::between(before, now));
        if !said {
            return worked_out;
        }
        let mut change = worked_out.unwrap_or_else(|| {
            let then = now.as_of - TimeDelta::seconds(self.every_s as i64);
            FrameChanges {
                interval_s: self.every_s as f64,
                previous: Arc::new(frame(&now.def, then, rows, Moment::Previous)),
                previous_row: (0..now.rows as u32).map(Some).collect(),
                states: vec![ChangeState::Rate; now.rows],
                rates: BTreeMap::new(),
            }
        });
        for column in now.def.columns.iter().filter(|c| c.kind == ColumnKind::Counter) {
            let known = change.rates.get(&column.name).cloned();
            let rate = |(at, row): (usize, &Row)| match row.get(&(column.name.clone(), Moment::Rate)) {
                Some(cell) => cell.number(),
                None => known.as_ref().and_then(|rates| rates.get(at).copied()).unwrap_or(f64::NAN),
            };
            change.rates.insert(column.name.clone(), rows.iter().enumerate().map(rate).collect());
        }
        Some(change)
    }

    /// The windows that the rule reads this frame over, as far as the history of the test goes back.
    fn windows(&self, frame: &str) -> BTreeSet<u64> {
        let of = |input: &crate::model::Input| match input.moment {
            Moment::Delta(w) | Moment::Ago(w) if input.frame == frame => Some(w),
            _ => None,
        };
        self.meta.inputs.iter().filter_map(of).filter(|w| self.history_s.is_none_or(|history| *w <= history)).collect()
    }
}

/// A frame of now, or (`Moment::Previous`) of the reading before, where a cell is as now unless said otherwise.
fn frame(def: &Arc<FrameDef>, as_of: DateTime<Utc>, rows: &[Row], moment: Moment) -> Frame {
    columns(def, as_of, rows, |row, name| {
        let said = row.get(&(name.to_string(), moment));
        said.or_else(|| row.get(&(name.to_string(), Moment::Now))).cloned().or_else(|| grown(row, name))
    })
}

/// The value now of a column of which only the growth is said: it began at zero.
fn grown(row: &Row, name: &str) -> Option<Cell> {
    row.iter().find(|((column, moment), _)| column == name && matches!(moment, Moment::Delta(_))).map(|(_, cell)| cell.clone())
}

fn past_frame(def: &Arc<FrameDef>, then: DateTime<Utc>, rows: &[Row], window: u64) -> Frame {
    columns(def, then, rows, |row, name| {
        let slot = |moment| row.get(&(name.to_string(), moment));
        let now = slot(Moment::Now).cloned().or_else(|| grown(row, name));
        match (slot(Moment::Ago(window)), slot(Moment::Delta(window))) {
            (Some(ago), _) => Some(ago.clone()),
            (None, Some(Cell::Null)) => Some(Cell::Null),
            (None, Some(delta)) => now.map(|now| Cell::Number(now.number() - delta.number())),
            (None, None) => now,
        }
    })
}

fn columns(def: &Arc<FrameDef>, as_of: DateTime<Utc>, rows: &[Row], cell: impl Fn(&Row, &str) -> Option<Cell>) -> Frame {
    let data = |column: &ColumnDef| {
        let cells: Vec<Cell> = rows.iter().map(|row| cell(row, &column.name).unwrap_or(Cell::Null)).collect();
        column_data(column.kind, &cells)
    };
    let columns = def.columns.iter().map(data).collect();
    Frame { def: def.clone(), as_of, epoch: None, coverage: Default::default(), rows: rows.len(), columns }
}

fn column_data(kind: ColumnKind, cells: &[Cell]) -> ColumnData {
    match kind {
        ColumnKind::Gauge | ColumnKind::Time => ColumnData::Float(cells.iter().map(Cell::number).collect()),
        ColumnKind::Counter => ColumnData::Int(cells.iter().map(integer).collect()),
        ColumnKind::Label | ColumnKind::Text => ColumnData::Text(Arc::new(cells.iter().map(text).collect())),
        ColumnKind::Flag => ColumnData::Flag(cells.iter().map(flag).collect()),
    }
}

fn integer(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Integer(value) => Some(*value),
        Cell::Number(value) => Some(value.round() as i64),
        _ => None,
    }
}

fn text(cell: &Cell) -> Option<&str> {
    match cell {
        Cell::Text(text) => Some(text),
        _ => None,
    }
}

fn flag(cell: &Cell) -> u8 {
    match cell {
        Cell::Flag(flag) => u8::from(*flag),
        _ => 2,
    }
}
