//! What stands behind the three exports: tables of rules, and the loops that turn columns into rows. All that `plugin!` need not
//! write anew for each plugin is here, in plain functions.

use crate::finding::Verdict;
use crate::input::{Input, Rows, Seen};
use crate::panic;
use crate::row::{Cells, Need, Row};
use crate::settings::Settings;
use crate::wire::{self, Entry, Evaluation, Frame, PluginDef, RuleDef, SettingDef, Value};

/// One rule of a plugin, as `plugin!` declares it.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Stable name.
    pub id: &'static str,
    /// The problem, in one fragment.
    pub title: &'static str,
    /// The rule's own frame; empty for a rule about the whole server.
    pub frame: &'static str,
    /// What it reads: the needs of its own frame, then of each other; `true` where the whole frame is optional.
    pub needs: &'static [(&'static [Need], bool)],
    /// "category", "tier" and so on.
    pub properties: &'static [(&'static str, &'static str)],
    /// Its settings.
    pub settings: fn() -> Vec<SettingDef>,
    /// Whether settings fit each other.
    pub check: fn(&[Entry]) -> Result<(), Vec<String>>,
    /// Judges an input.
    pub run: fn(wire::Input) -> Result<Evaluation, String>,
}

fn entries(pairs: &[(&str, &str)]) -> Vec<Entry> {
    pairs.iter().map(|(key, text)| Entry { key: (*key).into(), value: Value::Text((*text).into()) }).collect()
}

impl Rule {
    fn def(&self) -> RuleDef {
        let need = |need: &Need, all_optional: bool| wire::Need { input: need.input.into(), optional: need.optional || all_optional };
        RuleDef {
            id: self.id.into(),
            title: self.title.into(),
            from: (!self.frame.is_empty()).then(|| self.frame.into()),
            needs: self.needs.iter().flat_map(|(needs, all)| needs.iter().map(|one| need(one, *all))).collect(),
            settings: (self.settings)(),
            extra: entries(self.properties),
        }
    }
}

/// Answers `describe`.
#[must_use]
pub fn describe(id: &str, properties: &[(&str, &str)], rules: &[Rule]) -> PluginDef {
    panic::install();
    let version = properties.iter().find(|(name, _)| *name == "version").map_or("0.0.0", |(_, version)| version);
    let others: Vec<(&str, &str)> = properties.iter().copied().filter(|(name, _)| *name != "version").collect();
    PluginDef { id: id.into(), version: version.into(), rules: rules.iter().map(Rule::def).collect(), extra: entries(&others) }
}

fn rule<'a>(rules: &'a [Rule], id: &str) -> Result<&'a Rule, String> {
    rules.iter().find(|rule| rule.id == id).ok_or_else(|| format!("this plugin has no rule `{id}`"))
}

/// Answers `validate-settings`.
///
/// # Errors
/// One fragment for each thing that is wrong.
pub fn validate_settings(rules: &[Rule], id: &str, settings: &[Entry]) -> Result<(), Vec<String>> {
    panic::install();
    (rule(rules, id).map_err(|wrong| vec![wrong])?.check)(settings)
}

/// Answers `evaluate`.
///
/// # Errors
/// What the rule says is wrong, or the wire does.
pub fn evaluate(rules: &[Rule], id: &str, input: wire::Input) -> Result<Evaluation, String> {
    panic::install();
    (rule(rules, id)?.run)(input)
}

/// Judges row by row. Rows in which a required value is unknown are passed over: the host counts them and holds their alerts.
///
/// # Errors
/// When the input is not what the rule asked for.
pub fn judge_rows<R: Row, S: Settings, V: Into<Verdict>>(input: wire::Input, judge: impl Fn(&R, &S) -> V) -> Result<Evaluation, String> {
    let given = Given::open(input);
    let settings = given.settings::<S>()?;
    let rows = given.frame::<R>()?.rows;
    let first = Cells { columns: &given.columns, needs: R::NEEDS, firing: &given.firing, row: 0, at: 0 };
    let mut evaluation = Evaluation::quiet();
    for row in 0..rows {
        let Some(values) = R::read(Cells { row, ..first }) else { continue };
        panic::judging(Some(row));
        match judge(&values, &settings).into() {
            Verdict::Quiet => {}
            Verdict::Unknown => evaluation.unknown.push(row),
            Verdict::Found(finding) => evaluation.findings.push(wire::Finding { row: finding.row.or(Some(row)), ..finding }),
        }
    }
    panic::judging(None);
    Ok(evaluation)
}

/// An input on its way to a rule over whole frames.
#[derive(Debug)]
pub struct Given {
    columns: Vec<wire::Column>,
    frames: Vec<Frame>,
    settings: Vec<Entry>,
    facts: Vec<Entry>,
    firing: Vec<bool>,
    now: f64,
    any_firing: bool,
    /// Columns read so far.
    at: usize,
}

impl Given {
    /// Takes an input apart.
    #[must_use]
    pub fn open(input: wire::Input) -> Self {
        let mut firing = vec![false; input.firing.iter().max().map_or(0, |row| (*row as usize).saturating_add(1))];
        for row in &input.firing {
            if let Some(fires) = firing.get_mut(*row as usize) {
                *fires = true;
            }
        }
        let wire::Input { now, frames, columns, settings, extra: facts, .. } = input;
        Self { any_firing: !firing.is_empty(), columns, frames, settings, facts, firing, now, at: 0 }
    }

    /// The settings.
    ///
    /// # Errors
    /// When one is not of its type.
    pub fn settings<S: Settings>(&self) -> Result<S, String> {
        S::read(&self.settings).map_err(|wrong| wrong.join("; "))
    }

    fn frame<R: Row>(&self) -> Result<&Frame, String> {
        self.frames.iter().find(|frame| frame.name == R::FRAME).ok_or_else(|| format!("the host gave no frame `{}`", R::FRAME))
    }

    /// The rule's own rows and what the tick is about; the first to be read.
    ///
    /// # Errors
    /// When the host did not give the frame.
    pub fn own<R: Row>(&mut self) -> Result<Input<R>, String> {
        let rows = if R::FRAME.is_empty() { Rows::of(Vec::new()) } else { self.rows::<R>(true)? };
        Ok(Input { rows, now: self.now, firing: self.any_firing, facts: std::mem::take(&mut self.facts) })
    }

    /// The rows of the next other frame.
    ///
    /// # Errors
    /// When the host did not give the frame.
    pub fn also<R: Row>(&mut self) -> Result<Rows<R>, String> {
        self.rows(false)
    }

    /// The rows of the next other frame; `None` when it is not there, or a column that its rows cannot do without.
    ///
    /// # Errors
    /// Never; it reads like the others.
    pub fn also_optional<R: Row>(&mut self) -> Result<Option<Rows<R>>, String> {
        let needed = R::NEEDS.iter().enumerate().filter(|(_, need)| !need.optional);
        let present = |at: usize| self.columns.get(self.at + at).is_some_and(|column| column.present);
        let there = self.frame::<R>().is_ok() && needed.map(|(at, _)| at).all(present);
        if there {
            return self.rows(false).map(Some);
        }
        self.at += R::NEEDS.len();
        Ok(None)
    }

    fn rows<R: Row>(&mut self, own: bool) -> Result<Rows<R>, String> {
        let frame = self.frame::<R>()?;
        let firing = if own { &self.firing[..] } else { &[] };
        let first = Cells { columns: self.columns.get(self.at..).unwrap_or_default(), needs: R::NEEDS, firing, row: 0, at: 0 };
        let seen = |row: u32| {
            let cells = Cells { row, ..first };
            Some(Seen::new(row, cells.firing(), R::read(cells)?))
        };
        let rows: Vec<Seen<R>> = (0..frame.rows).filter_map(seen).collect();
        let top =
            frame.extra.iter().find_map(|entry| if let ("top", Value::Number(n)) = (&*entry.key, &entry.value) { Some(*n) } else { None });
        let left_out = frame.rows - rows.len() as u32;
        let rows = Rows { rows, left_out, age: frame.age, interval: frame.interval, top };
        self.at += R::NEEDS.len();
        Ok(rows)
    }
}
