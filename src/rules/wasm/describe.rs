//! What a plugin says of itself, checked: every problem at once, each naming the plugin and the rule.

use std::sync::Arc;

use pgsteward_helpers::{Dimension, parse_quantity};
use pgsteward_sandbox::Component;
use pgsteward_sandbox::v1::bindings::pgsteward::plugin::types::{EntryResult, PluginDef, RuleDef, SettingDef as WireSetting, ValueResult};

use super::rule::WasmRule;
use super::select::Select;
use super::{Origin, Plugin, SharedOrigin};
use crate::model::{Catalog, ColumnKind, FrameDef, Input, Labels, Moment, RuleMeta, SettingDef, SettingValue, Tier, Unit};
use crate::problem::Problem;
use crate::rules::meta::{check_id, check_setting, unknown_unit};
use crate::rules::{OWN_PACK, moment};

/// Rules that one plugin may declare.
const MOST_RULES: usize = 100;
/// Inputs and settings that one rule may declare.
const MOST_ITEMS: usize = 200;

/// A plugin that could be asked.
#[derive(Debug)]
pub struct Described {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// What else it says of itself, as text.
    pub facts: Vec<(String, String)>,
    /// Its rules, those left out that have problems.
    pub rules: Vec<WasmRule>,
    /// What is wrong with it or its rules.
    pub problems: Vec<Problem>,
}

/// Asks a plugin what it is.
///
/// # Errors
/// When it cannot be asked or its own id or version is no good; then nothing of it can be used.
pub fn describe(plugin: &Plugin, component: &Component, catalog: &Catalog) -> Result<Described, Problem> {
    let whole = |message: String| Problem::error(plugin.source.clone(), None, message);
    let called = component.describe(&plugin.limits);
    let def = called.answer.map_err(|failure| whole(format!("the plugin cannot be asked what it is: {failure}")))?;
    check_id(&def.id).map_err(|reason| whole(format!("plugin id: {reason}")))?;
    if !is_version(&def.version) {
        return Err(whole(format!("plugin `{}`: `{}` is no version; write 1.2.3", def.id, shown(&def.version))));
    }
    let name = format!("{} {}", def.id, def.version);
    if def.rules.is_empty() || def.rules.len() > MOST_RULES {
        return Err(whole(format!("plugin `{name}` has {} rules; it must have 1 to {MOST_RULES}", def.rules.len())));
    }
    let origin = Arc::new(Origin { name, component: component.clone(), limits: plugin.limits });
    Ok(all_rules(plugin, &def, &origin, catalog))
}

fn all_rules(plugin: &Plugin, def: &PluginDef, origin: &SharedOrigin, catalog: &Catalog) -> Described {
    let mut described =
        Described { id: def.id.clone(), version: def.version.clone(), facts: texts(&def.extra), rules: Vec::new(), problems: Vec::new() };
    for (at, rule) in def.rules.iter().enumerate() {
        if def.rules.iter().take(at).any(|earlier| earlier.id == rule.id) {
            let message = format!("plugin `{}` declares rule `{}` twice", origin.name, shown(&rule.id));
            described.problems.push(Problem::error(plugin.source.clone(), None, message));
            continue;
        }
        let mut reader = Reader { plugin, origin, catalog, rule, faults: Vec::new() };
        match reader.read() {
            Some(rule) => described.rules.push(rule),
            None => described.problems.extend(reader.problems()),
        }
    }
    described
}

fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    text.len() <= 40 && parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

fn texts(entries: &[EntryResult]) -> Vec<(String, String)> {
    let text = |entry: &EntryResult| match &entry.value {
        ValueResult::Text(text) => Some((cut(&entry.key), cut(text))),
        ValueResult::Number(_) | ValueResult::Flag(_) => None,
    };
    entries.iter().filter_map(text).collect()
}

/// Not a novel; made safe where it is shown, as the text of any rule.
fn cut(text: &str) -> String {
    text.chars().take(8_000).collect()
}

/// Hostile text for a message.
fn shown(text: &str) -> String {
    crate::text::safe(text).chars().take(200).collect()
}

/// Reads one rule.
struct Reader<'a> {
    plugin: &'a Plugin,
    origin: &'a SharedOrigin,
    catalog: &'a Catalog,
    rule: &'a RuleDef,
    faults: Vec<String>,
}

impl Reader<'_> {
    fn problems(self) -> Vec<Problem> {
        let whose = format!("plugin `{}`, rule `{}`", self.origin.name, shown(&self.rule.id));
        self.faults.into_iter().map(|fault| Problem::error(self.plugin.source.clone(), None, format!("{whose}: {fault}"))).collect()
    }

    fn fault(&mut self, message: impl Into<String>) {
        self.faults.push(message.into());
    }

    fn read(&mut self) -> Option<WasmRule> {
        let rule = self.rule;
        if let Err(reason) = check_id(&rule.id) {
            self.fault(reason);
        }
        if rule.title.trim().is_empty() {
            self.fault("its title is empty");
        }
        if rule.needs.len() > MOST_ITEMS || rule.settings.len() > MOST_ITEMS {
            self.fault(format!("it declares more than {MOST_ITEMS} needs or settings"));
            return None;
        }
        let needs = self.needs();
        let from = self.from();
        let settings: Vec<SettingDef> = rule.settings.iter().filter_map(|setting| self.setting(setting)).collect();
        let select = self.select(&needs, &settings);
        let meta = self.meta(&needs, from.as_deref(), settings);
        self.faults.is_empty().then(|| WasmRule::new(self.origin.clone(), meta, needs, from, select))
    }

    fn from(&mut self) -> Option<Arc<FrameDef>> {
        let name = self.rule.from.as_ref()?;
        let frame = self.catalog.frame(name).cloned();
        if frame.is_none() {
            let fault = self.no_frame(name);
            self.fault(fault);
        }
        frame
    }

    fn select(&mut self, needs: &[Input], settings: &[SettingDef]) -> Select {
        let extra = texts(&self.rule.extra);
        let Some((_, text)) = extra.iter().rev().find(|(key, _)| key == "where") else { return Select::default() };
        match Select::read(&shown(text), self.rule.from.as_deref(), needs, settings) {
            Ok(select) => select,
            Err(reason) => {
                self.fault(reason);
                Select::default()
            }
        }
    }

    fn no_frame(&self, name: &str) -> String {
        let near = Catalog::nearest(self.catalog.frames().map(|f| f.name.as_str()), name);
        format!("there is no frame `{}`{}", shown(name), near.map_or(String::new(), |n| format!("; did you mean `{n}`?")))
    }

    fn needs(&mut self) -> Vec<Input> {
        let mut needs = Vec::new();
        for need in &self.rule.needs {
            match self.need(&need.input, need.optional) {
                Ok(input) => needs.push(input),
                Err(reason) => self.fault(reason),
            }
        }
        needs
    }

    /// `rate(tables.n_tup_upd)` as an input; the moment of a label or text is now.
    fn need(&self, text: &str, optional: bool) -> Result<Input, String> {
        let (path, moment) = moment::read(text)
            .map_err(|_| format!("`{}` is no input (forms: f.c, prev(f.c), rate(f.c), delta(f.c, 1h), ago(f.c, 1d))", shown(text)))?;
        let Some((frame, column)) = path.split_once('.') else {
            return Err(format!("`{}` names no column: write `frame.column`", shown(text)));
        };
        let def = self.catalog.frame(frame).ok_or_else(|| self.no_frame(frame))?;
        let Some(described) = def.column(column) else {
            let near = Catalog::nearest(def.columns.iter().map(|c| c.name.as_str()), column);
            let near = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            return Err(format!("frame `{frame}` has no column `{}`{near}", shown(column)));
        };
        match (moment, described.kind) {
            (Moment::Now, _) => {}
            (_, ColumnKind::Label | ColumnKind::Text) => {
                return Err(format!("`{text}`: `{path}` is text, of which only the latest reading is known"));
            }
            (Moment::Rate, kind) if kind != ColumnKind::Counter => {
                return Err(format!("`{text}`: `{path}` is no counter, so it has no rate"));
            }
            _ => {}
        }
        Ok(Input { frame: frame.into(), column: Some(column.into()), moment, optional })
    }

    fn setting(&mut self, wire: &WireSetting) -> Option<SettingDef> {
        let before = self.faults.len();
        if let Err(reason) = check_id(&wire.name) {
            self.fault(format!("setting: {reason}"));
        }
        if self.rule.settings.iter().filter(|other| other.name == wire.name).count() > 1 {
            self.fault(format!("setting `{}` is declared more than once", shown(&wire.name)));
        }
        let unit = Unit::parse(&wire.unit);
        if unit.is_none() {
            self.fault(format!("setting `{}`: {}", shown(&wire.name), unknown_unit(&shown(&wire.unit))));
        }
        let def = SettingDef {
            name: wire.name.clone(),
            default: setting_value(&wire.default),
            range: wire.range,
            unit: unit.unwrap_or_default(),
            doc: cut(&wire.doc),
        };
        if def.range.is_some_and(|(low, high)| low.is_nan() || high.is_nan() || low > high) {
            self.fault(format!("setting `{}`: its range is empty", def.name));
        } else if let Err(reason) = check_setting(&def, &def.default) {
            self.fault(format!("its own default: {reason}"));
        }
        (self.faults.len() == before).then_some(def)
    }

    fn meta(&mut self, needs: &[Input], from: Option<&FrameDef>, settings: Vec<SettingDef>) -> RuleMeta {
        let mut inputs = needs.to_vec();
        let required = |frame: &FrameDef| inputs.iter().any(|input| input.frame == frame.name && !input.optional);
        if let Some(frame) = from.filter(|frame| !required(frame)) {
            inputs.push(Input { frame: frame.name.clone(), column: None, moment: Moment::Now, optional: false });
        }
        let extra = texts(&self.rule.extra);
        let word = |key: &str| extra.iter().rev().find(|(k, _)| k == key).map(|(_, text)| text.clone());
        let tier = word("tier");
        let tier_read = tier.as_deref().map_or(Some(Tier::Ticket), |tier| Tier::ALL.into_iter().find(|t| t.as_str() == tier));
        if tier_read.is_none() {
            self.fault(format!("its tier must be page, ticket or advice, not `{}`", tier.unwrap_or_default()));
        }
        for (key, legal) in [("enabled", ["true", "false"]), ("when_missing", ["hold", "fire"])] {
            if let Some(said) = word(key).filter(|said| !legal.contains(&said.as_str())) {
                self.fault(format!("its `{key}` must be {} or {}, not `{}`", legal[0], legal[1], shown(&said)));
            }
        }
        RuleMeta {
            id: self.rule.id.clone(),
            title: cut(&self.rule.title),
            category: word("category").unwrap_or_else(|| "general".into()),
            tier: tier_read.unwrap_or(Tier::Ticket),
            pack: OWN_PACK.into(),
            enabled: word("enabled").as_deref() != Some("false"),
            inputs,
            from: from.map(|frame| frame.name.clone()),
            settings,
            for_s: self.span("for", word("for")),
            keep_firing_for_s: self.span("keep_firing_for", word("keep_firing_for")),
            interval_s: self.span("interval", word("interval")),
            labels: labels(&extra),
            channels: word("channels").map(|names| names.split(',').map(|name| name.trim().to_string()).collect()).unwrap_or_default(),
            runbook: word("runbook").unwrap_or_default(),
            fire_when_missing: word("when_missing").as_deref() == Some("fire"),
            engine: "wasm".into(),
            source: self.plugin.source.clone(),
            hash: self.plugin.hash.clone(),
        }
    }

    fn span(&mut self, key: &str, text: Option<String>) -> u64 {
        let Some(text) = text else { return 0 };
        match parse_quantity(&text) {
            Ok(span) if span.dimension == Dimension::Seconds && span.value >= 0.0 => span.value as u64,
            _ => {
                self.fault(format!("its `{key}` must be a span such as 10m, not `{text}`"));
                0
            }
        }
    }
}

fn labels(extra: &[(String, String)]) -> Labels {
    extra.iter().filter_map(|(key, value)| Some((key.strip_prefix("label.")?.to_string(), value.clone()))).collect()
}

fn setting_value(value: &ValueResult) -> SettingValue {
    match value {
        ValueResult::Number(number) => SettingValue::Number(*number),
        ValueResult::Text(text) => SettingValue::Text(text.clone()),
        ValueResult::Flag(flag) => SettingValue::Flag(*flag),
    }
}
