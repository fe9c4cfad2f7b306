//! What a rule says of itself: the keys that a script's header and the rich YAML form have in common.
//!
//! One reader for both, so that `for: 10m` or a setting of `512MB` means the same in every engine. Numbers of settings
//! are kept in the unit that the setting declares: `500ms` is 500 for a setting in `ms` and 0.5 for one in `s`. Which
//! columns a rule reads is not declared: the engines find that in the expressions.

use pgsteward_helpers::{Dimension, QuantityError, parse_quantity};

use crate::model::{Catalog, Input, Labels, Moment, RuleMeta, SettingDef, SettingValue, Tier, Unit};
use crate::problem::{Mark, Problem};
use crate::yaml::{Fields, Node, Value, text_of};

/// What holds where a rule does not say otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Defaults<'a> {
    /// The pack of the file.
    pub pack: &'a str,
    /// The engine that will run it.
    pub engine: &'a str,
    /// SHA-256 of the rule's text, hex.
    pub hash: &'a str,
}

/// The header of a script: what every rule declares, and what only scripts do.
#[derive(Debug, Clone)]
pub struct Header {
    /// What every rule declares; `inputs` holds the frames with their optional flags.
    pub meta: RuleMeta,
    /// Label columns that identify a finding; empty for the frame's own key.
    pub subject: Vec<String>,
    /// An expression over the settings that must hold, and where it stands.
    pub require: Option<(String, Mark)>,
}

impl From<RuleMeta> for Header {
    fn from(meta: RuleMeta) -> Self {
        Self { meta, subject: Vec::new(), require: None }
    }
}

/// Reads a script's header. The caller ends `fields` with `finish`, which reports unknown keys.
pub fn read_header(file: &str, fields: &mut Fields<'_>, defaults: Defaults<'_>) -> Option<Header> {
    let inputs = fields.texts("inputs").unwrap_or_default();
    let subject = fields.texts("subject").unwrap_or_default();
    let require = fields.node("require").and_then(|node| Some((text_of(node)?, node.at)));
    let mut meta = read_meta(file, fields, defaults)?;
    meta.inputs = inputs
        .iter()
        .map(|name| {
            let frame = name.trim_end_matches('?');
            Input { frame: frame.into(), column: None, moment: Moment::Now, optional: frame != name }
        })
        .collect();
    Some(Header { meta, subject, require })
}

/// Reads the keys that every rule form has. `None` when there is no usable id, title or tier; the reasons are among
/// `fields.problems`, as are those of keys that could be read around.
pub fn read_meta(file: &str, fields: &mut Fields<'_>, defaults: Defaults<'_>) -> Option<RuleMeta> {
    let id = read_id(fields);
    let title = fields.required("title").and_then(|node| some_text(fields, node, "title"));
    let tier = read_tier(fields);
    let settings = read_settings(file, fields);
    let meta = RuleMeta {
        id: id.clone().unwrap_or_default(),
        title: title.clone().unwrap_or_default(),
        category: fields.text("category").unwrap_or_else(|| "general".into()),
        tier: tier.unwrap_or(Tier::Ticket),
        pack: fields.text("pack").unwrap_or_else(|| defaults.pack.into()),
        enabled: fields.flag("enabled").unwrap_or(true),
        inputs: Vec::new(),
        from: None,
        settings,
        for_s: fields.seconds("for").unwrap_or(0),
        keep_firing_for_s: fields.seconds("keep_firing_for").unwrap_or(0),
        interval_s: fields.seconds("interval").unwrap_or(0),
        labels: read_labels(fields),
        channels: fields.texts("channels").unwrap_or_default(),
        runbook: fields.text("runbook").unwrap_or_default(),
        fire_when_missing: read_when_missing(fields),
        engine: defaults.engine.into(),
        source: file.into(),
        hash: defaults.hash.into(),
    };
    (id.is_some() && title.is_some() && tier.is_some()).then_some(meta)
}

/// The value of a setting as a person wrote it, checked against its declaration: for overrides and tests.
///
/// # Errors
/// Says what would be legal.
pub fn setting_value(def: &SettingDef, node: &Node) -> Result<SettingValue, String> {
    let (value, _) = plain_value(node, Some(def.unit))?;
    check_setting(def, &value)?;
    Ok(value)
}

/// Whether a value is of the setting's type and within its range.
///
/// # Errors
/// Says what would be legal.
pub fn check_setting(def: &SettingDef, value: &SettingValue) -> Result<(), String> {
    match (&def.default, value, def.range) {
        (SettingValue::Number(_), SettingValue::Number(v), Some((low, high))) if !(low..=high).contains(v) => {
            Err(format!("`{}` must be {} to {}, not {}", def.name, def.unit.show(low), def.unit.show(high), def.unit.show(*v)))
        }
        (SettingValue::Number(_), SettingValue::Number(_), _)
        | (SettingValue::Flag(_), SettingValue::Flag(_), _)
        | (SettingValue::Text(_), SettingValue::Text(_), _) => Ok(()),
        (SettingValue::Number(_), ..) => Err(format!("`{}` must be a number", def.name)),
        (SettingValue::Flag(_), ..) => Err(format!("`{}` must be true or false", def.name)),
        (SettingValue::Text(_), ..) => Err(format!("`{}` must be text", def.name)),
    }
}

fn some_text(fields: &mut Fields<'_>, node: &Node, key: &str) -> Option<String> {
    let text = text_of(node).filter(|text| !text.trim().is_empty());
    if text.is_none() {
        fields.error(node, format!("`{key}` must be text, this is {}", node.value.kind()));
    }
    text
}

/// An id goes into fingerprints, file names and command lines.
fn read_id(fields: &mut Fields<'_>) -> Option<String> {
    let node = fields.required("id")?;
    let id = some_text(fields, node, "id")?;
    check_id(&id).map_err(|reason| fields.error(node, reason)).ok()?;
    Some(id)
}

/// Whether a text can be the id of a rule or a plugin.
///
/// # Errors
/// Says what would be legal.
pub fn check_id(id: &str) -> Result<(), String> {
    let legal = id.len() <= 63 && id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(is_id_char);
    if legal { Ok(()) } else { Err(format!("`{id}` is not an id: lower-case letters, digits and `_`, a letter first, at most 63")) }
}

fn is_id_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
}

fn read_tier(fields: &mut Fields<'_>) -> Option<Tier> {
    let Some(node) = fields.node("tier") else { return Some(Tier::Ticket) };
    let word = text_of(node).unwrap_or_default();
    let tier = Tier::ALL.into_iter().find(|t| t.as_str() == word);
    if tier.is_none() {
        fields.error(node, format!("`tier` must be page, ticket or advice, not `{word}`"));
    }
    tier
}

fn read_when_missing(fields: &mut Fields<'_>) -> bool {
    let Some(node) = fields.node("when_missing") else { return false };
    let word = text_of(node).unwrap_or_default();
    if !matches!(word.as_str(), "hold" | "fire") {
        fields.error(node, format!("`when_missing` must be hold or fire, not `{word}`"));
    }
    word == "fire"
}

fn read_labels(fields: &mut Fields<'_>) -> Labels {
    let mut labels = Labels::default();
    for (key, node) in fields.map("labels").unwrap_or_default() {
        match text_of(node) {
            Some(text) => labels.set(key.text.clone(), text),
            None => fields.error(node, format!("label `{}` must be text, this is {}", key.text, node.value.kind())),
        }
    }
    labels
}

fn read_settings(file: &str, fields: &mut Fields<'_>) -> Vec<SettingDef> {
    let entries = fields.map("settings").unwrap_or_default();
    let mut settings = Vec::new();
    for (key, node) in entries {
        if !key.text.starts_with(|c: char| c.is_ascii_lowercase()) || !key.text.chars().all(is_id_char) {
            fields.problems.push(Problem::error(file, key.at, format!("`{}` is not a name: lower-case letters, digits and `_`", key.text)));
            continue;
        }
        match read_setting(file, &key.text, node) {
            Ok((def, problems)) => {
                settings.push(def);
                fields.problems.extend(problems);
            }
            Err(problems) => fields.problems.extend(problems),
        }
    }
    settings
}

/// `{default: 512MB, range: [0B, 100TB], unit: bytes, doc: ...}`, or the default alone.
fn read_setting(file: &str, name: &str, node: &Node) -> Result<(SettingDef, Vec<Problem>), Vec<Problem>> {
    if !matches!(node.value, Value::Map(_)) {
        let (default, unit) = plain_value(node, None).map_err(|reason| vec![Problem::error(file, node.at, reason)])?;
        return Ok((SettingDef { name: name.into(), default, range: None, unit, doc: String::new() }, Vec::new()));
    }
    let mut fields = Fields::open(file, node, "a setting").map_err(|problem| vec![problem])?;
    let declared = read_unit(&mut fields);
    let default = fields.required("default");
    let value = default.and_then(|node| plain_value(node, declared).map_err(|reason| fields.error(node, reason)).ok());
    let unit = declared.or(value.as_ref().map(|(_, unit)| *unit)).unwrap_or_default();
    let range = read_range(&mut fields, unit);
    let doc = fields.text("doc").unwrap_or_default();
    let Some((value, _)) = value else { return Err(fields.finish()) };
    let def = SettingDef { name: name.into(), default: value, range, unit, doc };
    if let (Some(node), Err(reason)) = (default, check_setting(&def, &def.default)) {
        fields.error(node, reason);
    }
    Ok((def, fields.finish()))
}

fn read_unit(fields: &mut Fields<'_>) -> Option<Unit> {
    let node = fields.node("unit")?;
    let word = text_of(node).unwrap_or_default();
    let unit = Unit::parse(&word);
    if unit.is_none() {
        fields.error(node, unknown_unit(&word));
    }
    unit
}

/// The sentence for a unit that there is not.
pub(crate) fn unknown_unit(word: &str) -> String {
    let words = Unit::ALL.iter().map(|(_, word)| *word).filter(|word| !word.is_empty());
    let near = Catalog::nearest(words.clone(), word).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
    format!("unknown unit `{word}` (known: {}){near}", words.collect::<Vec<_>>().join(", "))
}

fn read_range(fields: &mut Fields<'_>, unit: Unit) -> Option<(f64, f64)> {
    let node = fields.node("range")?;
    let bound = |node: &Node| match plain_value(node, Some(unit)) {
        Ok((SettingValue::Number(value), _)) => Some(value),
        _ => None,
    };
    let range = match &node.value {
        Value::List(ends) => match ends.as_slice() {
            [low, high] => bound(low).zip(bound(high)).filter(|(low, high)| low <= high),
            _ => None,
        },
        _ => None,
    };
    if range.is_none() {
        fields.error(node, "`range` must be two numbers in the setting's unit, the smaller first: `[1, 50]`");
    }
    range
}

/// A scalar as a setting's value, in the wanted unit or the one that it is written in.
fn plain_value(node: &Node, wanted: Option<Unit>) -> Result<(SettingValue, Unit), String> {
    let unit = wanted.unwrap_or_default();
    match &node.value {
        Value::Flag(flag) => Ok((SettingValue::Flag(*flag), unit)),
        Value::Number(number) => Ok((SettingValue::Number(*number), unit)),
        Value::Text(text) => match parse_quantity(text) {
            Ok(quantity) => in_unit(text, quantity.value, quantity.dimension, wanted).map(|(v, u)| (SettingValue::Number(v), u)),
            Err(error @ QuantityError::UnknownUnit(_)) if text.starts_with(|c: char| c.is_ascii_digit()) => {
                Err(format!("`{text}`: {error}"))
            }
            Err(_) => Ok((SettingValue::Text(text.clone()), unit)),
        },
        other => Err(format!("a setting must be a number, text, true or false, this is {}", other.kind())),
    }
}

/// A quantity in the wanted unit; refuses to read seconds as bytes.
fn in_unit(text: &str, value: f64, dimension: Dimension, wanted: Option<Unit>) -> Result<(f64, Unit), String> {
    let Some(unit) = wanted else {
        return Ok(match dimension {
            Dimension::Number => (value, Unit::None),
            Dimension::Bytes => (value, Unit::Bytes),
            Dimension::Seconds => (value, Unit::Seconds),
            Dimension::Percent => (value, Unit::Percent),
        });
    };
    match (dimension, unit) {
        (Dimension::Number, _) | (Dimension::Bytes, Unit::Bytes) | (Dimension::Percent, Unit::Percent) => Ok((value, unit)),
        (Dimension::Seconds, Unit::Seconds) => Ok((value, unit)),
        (Dimension::Seconds, Unit::Millis) => Ok((value * 1000.0, unit)),
        (Dimension::Seconds, Unit::Days) => Ok((value / 86_400.0, unit)),
        (Dimension::Percent, Unit::Ratio) => Ok((value / 100.0, unit)),
        _ => Err(format!("`{text}` is not a number of {}", if unit == Unit::None { "a setting without unit" } else { unit.as_str() })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn header(text: &str) -> (Option<Header>, Vec<String>) {
        let root = parse("r", text).unwrap();
        let mut fields = Fields::open("r", &root, "a header").unwrap();
        let header = read_header("r", &mut fields, Defaults { pack: "own", engine: "rhai", hash: "h" });
        (header, fields.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_whole_header_reads_into_its_base_units() {
        let (header, problems) = header(
            "id: dead\ntitle: Dead rows\ncategory: vacuum\ntier: page\ninputs: [tables, xmin_holders?]\nsubject: [database, table]\n\
             settings:\n  factor: {default: 2.0, range: [1, 50], unit: x, doc: warn above}\n  \
             min_bytes: {default: 512MB, range: [0B, 100TB]}\n  slow: {default: 500ms, unit: ms}\n  \
             on: true\n  who: etl\nrequire: factor > 1\ninterval: 5m\nfor: 10m\nkeep_firing_for: 0m\n\
             labels: {team: data}\nchannels: [dba]\nwhen_missing: fire\nrunbook: |\n  Why: it is.\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        let header = header.unwrap();
        assert_eq!(header.subject, ["database", "table"]);
        assert_eq!(header.require.unwrap().0, "factor > 1");
        let meta = header.meta;
        assert_eq!((meta.for_s, meta.interval_s, meta.keep_firing_for_s, meta.tier), (600, 300, 0, Tier::Page));
        assert!(meta.fire_when_missing && meta.enabled);
        assert_eq!(meta.inputs[1].to_string(), "xmin_holders");
        assert!(meta.inputs[1].optional && !meta.inputs[0].optional);
        let values: Vec<(&SettingValue, Unit)> = meta.settings.iter().map(|s| (&s.default, s.unit)).collect();
        assert_eq!(values[0], (&SettingValue::Number(2.0), Unit::Times));
        assert_eq!(values[1], (&SettingValue::Number(536_870_912.0), Unit::Bytes));
        assert_eq!(values[2], (&SettingValue::Number(500.0), Unit::Millis));
        assert_eq!(values[3].0, &SettingValue::Flag(true));
        assert_eq!(values[4].0, &SettingValue::Text("etl".into()));
        assert_eq!(meta.settings[1].range, Some((0.0, 100.0 * 1024f64.powi(4))));
    }

    #[test]
    fn every_problem_of_a_header_comes_at_once() {
        let (header, problems) = header(
            "id: Dead-Rows\ntier: urgent\nfro: x\nwhen_missing: maybe\nsettings:\n  a: {default: 5MB, unit: s}\n  b: {default: 9, range: [1, 5]}\n  \
             c: {default: 1, unit: sec}\n  d: {default: 1, range: [5]}\n  e: 5Mb\n",
        );
        assert!(header.is_none());
        assert_eq!(
            problems,
            [
                "r:1:5: error: `Dead-Rows` is not an id: lower-case letters, digits and `_`, a letter first, at most 63",
                "r:1:1: error: `title` is missing",
                "r:2:7: error: `tier` must be page, ticket or advice, not `urgent`",
                "r:6:16: error: `5MB` is not a number of s",
                "r:7:16: error: `b` must be 1 to 5, not 9",
                "r:8:25: error: unknown unit `sec` (known: rows, bytes, s, ms, %, ratio, x, blocks, xids, days, /s); did you mean `s`?",
                "r:9:26: error: `range` must be two numbers in the setting's unit, the smaller first: `[1, 50]`",
                "r:10:6: error: `5Mb`: unknown unit `Mb` (known: B kB MB GB TB, ms s m h d w, %, k M G T)",
                "r:4:15: error: `when_missing` must be hold or fire, not `maybe`",
                "r:3:1: error: unknown key `fro`; did you mean `for`?",
            ]
        );
    }

    #[test]
    fn an_override_must_fit_the_declaration() {
        let def = SettingDef {
            name: "slow".into(),
            default: SettingValue::Number(500.0),
            range: Some((1.0, 1000.0)),
            unit: Unit::Millis,
            doc: String::new(),
        };
        let value = |text: &str| setting_value(&def, &parse("f", text).unwrap());
        assert_eq!(value("1s"), Ok(SettingValue::Number(1000.0)));
        assert_eq!(value("2s"), Err("`slow` must be 1ms to 1s, not 2s".into()));
        assert_eq!(value("true"), Err("`slow` must be a number".into()));
        assert_eq!(value("1MB"), Err("`1MB` is not a number of ms".into()));
    }
}
