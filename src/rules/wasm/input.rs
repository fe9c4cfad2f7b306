//! What a plugin is given: exactly the columns that its rule declares, flat, unknown as NaN.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pgsteward_sandbox::Texts;
use pgsteward_sandbox::v1::bindings::pgsteward::plugin::types::{Column, EntryParam, Frame as WireFrame, Input as WireInput, ValueParam};

use crate::model::{
    ColumnData, ColumnKind, Frame, FrameChanges, FrameDef, Input, Labels, Moment, RuleInput, SettingDef, SettingValue, TextColumn,
};
use crate::rules::held::rows_of;

/// The values of the declared columns, owned while the plugin reads them; `None` for an optional one that is not there.
pub(super) struct Columns(pub(super) Vec<Option<Arc<[f64]>>>);

impl Columns {
    /// Reads the needs of a rule.
    pub(super) fn read(needs: &[Input], input: &RuleInput) -> Self {
        let mut past = BTreeMap::new();
        Self(needs.iter().map(|need| values(need, input, &mut past)).collect())
    }
}

/// Changes since a window ago, by window and frame: worked out once, whatever number of columns is read.
type Past = BTreeMap<(u64, String), Option<FrameChanges>>;

fn values(need: &Input, input: &RuleInput, past: &mut Past) -> Option<Arc<[f64]>> {
    let name = need.column.as_deref()?;
    let frame = input.snapshot.frame(&need.frame)?;
    match need.moment {
        Moment::Now => Some(now(frame.column(name)?)),
        Moment::Previous => input.changes.frames.get(&need.frame)?.previous_values(name),
        Moment::Rate => input.changes.frames.get(&need.frame)?.rates.get(name).cloned(),
        Moment::Ago(window) => since(window, frame, input, past)?.previous_values(name),
        Moment::Delta(window) => delta(frame, name, since(window, frame, input, past)?),
    }
}

fn since<'a>(window: u64, frame: &Arc<Frame>, input: &RuleInput, past: &'a mut Past) -> Option<&'a FrameChanges> {
    let between = || FrameChanges::between(input.past.get(&window)?.get(&frame.def.name)?, frame);
    past.entry((window, frame.def.name.clone())).or_insert_with(between).as_ref()
}

/// Text crosses as its dictionary codes.
fn now(data: &ColumnData) -> Arc<[f64]> {
    match data {
        ColumnData::Text(texts) => (0..texts.len()).map(|row| code(texts, row)).collect(),
        other => other.to_floats().unwrap_or_default(),
    }
}

fn code(texts: &TextColumn, row: usize) -> f64 {
    texts.code(row).map_or(f64::NAN, f64::from)
}

/// A counter's growth, unknown over a reset; a gauge's difference.
fn delta(frame: &Frame, name: &str, changes: &FrameChanges) -> Option<Arc<[f64]>> {
    if frame.def.column(name)?.kind == ColumnKind::Counter {
        return Some(changes.rates.get(name)?.iter().map(|rate| rate * changes.interval_s).collect());
    }
    let (now, then) = (frame.column(name)?.to_floats()?, changes.previous_values(name)?);
    Some(now.iter().zip(then.iter()).map(|(now, then)| now - then).collect())
}

/// Rows of the rule's own frame whose alert fires.
pub(super) fn firing(from: Option<&FrameDef>, input: &RuleInput) -> Vec<u32> {
    let Some(def) = from else { return if input.firing.contains(&Labels::default()) { vec![0] } else { Vec::new() } };
    let Some(frame) = input.snapshot.frame(&def.name).filter(|_| !input.firing.is_empty()) else { return Vec::new() };
    let rows = rows_of(frame, &input.firing, 0..frame.rows);
    let rows: BTreeSet<u32> = rows.values().filter_map(|row| u32::try_from(*row).ok()).collect();
    rows.into_iter().collect()
}

/// Which rows of the rule's own frame are handed over.
pub(super) struct Handed<'a> {
    /// The rule's own frame; empty for a rule about the whole server.
    pub(super) frame: &'a str,
    /// `None`: all.
    pub(super) rows: Option<Arc<[u32]>>,
}

impl Handed<'_> {
    /// The columns with only those rows.
    pub(super) fn columns(&self, needs: &[Input], columns: &Columns) -> Columns {
        let Some(rows) = &self.rows else { return Columns(columns.0.clone()) };
        let chosen = |values: &Arc<[f64]>| rows.iter().map(|row| values.get(*row as usize).copied().unwrap_or(f64::NAN)).collect();
        let column = |(need, values): (&Input, &Option<Arc<[f64]>>)| match values {
            Some(values) if need.frame == self.frame => Some(chosen(values)),
            other => other.clone(),
        };
        Columns(needs.iter().zip(&columns.0).map(column).collect())
    }

    /// Rows by their numbers among those that are handed over.
    pub(super) fn places(&self, rows: Vec<u32>) -> Vec<u32> {
        let Some(handed) = &self.rows else { return rows };
        rows.iter().filter_map(|row| handed.binary_search(row).ok().and_then(|at| u32::try_from(at).ok())).collect()
    }

    fn count(&self, frame: &Frame) -> usize {
        self.rows.as_ref().filter(|_| frame.def.name == self.frame).map_or(frame.rows, |rows| rows.len())
    }
}

/// What stands beside the columns, owned while the plugin reads it.
pub(super) struct Facts {
    settings: Vec<(String, SettingValue)>,
    target: Vec<(String, SettingValue)>,
}

impl Facts {
    pub(super) fn of(settings: &[SettingDef], input: &RuleInput) -> Self {
        let set = |def: &SettingDef| (def.name.clone(), input.settings.0.get(&def.name).unwrap_or(&def.default).clone());
        Self { settings: settings.iter().map(set).collect(), target: target(input) }
    }

    /// The whole input, borrowed.
    pub(super) fn wire<'a>(
        &'a self,
        input: &'a RuleInput,
        needs: &[Input],
        handed: &Handed<'_>,
        columns: &'a Columns,
        firing: &'a [u32],
        hold: &'a mut Parts<'a>,
    ) -> WireInput<'a> {
        hold.frames = frames(needs, input, handed);
        hold.columns =
            columns.0.iter().map(|values| Column { values: values.as_deref().unwrap_or_default(), present: values.is_some() }).collect();
        hold.settings = entries(&self.settings);
        hold.extra = entries(&self.target);
        WireInput {
            now: input.now.timestamp_millis() as f64 / 1000.0,
            frames: &hold.frames,
            columns: &hold.columns,
            firing,
            settings: &hold.settings,
            extra: &hold.extra,
        }
    }
}

/// Where the borrowed lists of an input live.
#[derive(Default)]
pub(super) struct Parts<'a> {
    frames: Vec<WireFrame<'a>>,
    columns: Vec<Column<'a>>,
    settings: Vec<EntryParam<'a>>,
    extra: Vec<EntryParam<'a>>,
}

fn frames<'a>(needs: &[Input], input: &'a RuleInput, handed: &Handed<'_>) -> Vec<WireFrame<'a>> {
    let names: BTreeSet<&str> = needs.iter().map(|need| need.frame.as_str()).collect();
    let frame = |name: &str| {
        let frame = input.snapshot.frame(name)?;
        Some(WireFrame {
            name: &frame.def.name,
            rows: u32::try_from(handed.count(frame)).unwrap_or(u32::MAX),
            age: (input.now - frame.as_of).num_milliseconds().max(0) as f64 / 1000.0,
            interval: input.changes.frames.get(name).map(|changes| changes.interval_s),
            extra: &[],
        })
    };
    names.into_iter().filter_map(frame).collect()
}

fn entries(list: &[(String, SettingValue)]) -> Vec<EntryParam<'_>> {
    list.iter().map(|(key, value)| EntryParam { key, value: wire_value(value) }).collect()
}

/// A setting's value as it crosses.
pub(super) fn wire_value(value: &SettingValue) -> ValueParam<'_> {
    match value {
        SettingValue::Number(number) => ValueParam::Number(*number),
        SettingValue::Text(text) => ValueParam::Text(text),
        SettingValue::Flag(flag) => ValueParam::Flag(*flag),
    }
}

/// What is known of the target.
fn target(input: &RuleInput) -> Vec<(String, SettingValue)> {
    let target = &input.snapshot.target;
    let mut facts = vec![("target".to_string(), SettingValue::Text(target.name.clone()))];
    facts.extend(target.cluster.iter().map(|cluster| ("cluster".to_string(), SettingValue::Text(cluster.clone()))));
    facts.extend(target.labels.0.iter().map(|(name, value)| (format!("label.{name}"), SettingValue::Text(value.clone()))));
    if let Some(server) = &input.snapshot.server {
        facts.push(("server_version_num".into(), SettingValue::Number(f64::from(server.version_num))));
        facts.extend(server.in_recovery.map(|standby| ("in_recovery".to_string(), SettingValue::Flag(standby))));
    }
    facts
}

/// Answers a running plugin's questions for texts: only of columns that its rule declares.
pub(super) struct FrameTexts {
    pub(super) needs: Arc<[Input]>,
    pub(super) snapshot: Arc<crate::model::Snapshot>,
    /// The rule's own frame, and which of its rows were handed over.
    pub(super) from: Option<String>,
    pub(super) rows: Option<Arc<[u32]>>,
}

impl Texts for FrameTexts {
    fn text(&self, column: &str, rows: &[u32]) -> Result<Vec<Option<String>>, String> {
        let path = |need: &&Input| {
            need.column.as_deref().is_some_and(|name| column.strip_prefix(&need.frame).and_then(|c| c.strip_prefix('.')) == Some(name))
        };
        let Some(need) = self.needs.iter().find(path) else { return Err(format!("the rule does not need `{column}`")) };
        let Some(frame) = self.snapshot.frame(&need.frame) else { return Err(format!("frame `{}` is not there", need.frame)) };
        let Some(ColumnData::Text(texts)) = frame.column(need.column.as_deref().unwrap_or_default()) else {
            return Err(format!("`{column}` is no text"));
        };
        let handed = self.rows.as_deref().filter(|_| self.from.as_deref() == Some(need.frame.as_str()));
        let place = |row: u32| handed.map_or(Some(row), |rows| rows.get(row as usize).copied()).filter(|row| (*row as usize) < frame.rows);
        let text = |row: &u32| match place(*row) {
            Some(place) => Ok(texts.get(place as usize).map(String::from)),
            None => Err(format!("`{column}` has no row {row}, it has {}", handed.map_or(frame.rows, <[u32]>::len))),
        };
        rows.iter().map(text).collect()
    }
}
