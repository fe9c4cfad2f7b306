//! The rich YAML form: one frame, expressions over its columns, a severity for each condition.
//!
//! The expressions are the script language with the frame's name left out, so that they can be copied into a script as
//! they are. What a compiled rule does with them is in `judge`. A rule may bring its own SQL (`metric`), whose frame only
//! has to be described.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::judge::{ActionTemplate, EvidenceItem, Level, Rich};
use super::metric::read_metric;
use super::template::Template;
use crate::model::action::kind;
use crate::model::{Catalog, FrameDef, Input, Metric, Moment, RuleMeta, Severity, Unit};
use crate::problem::Problem;
use crate::rules::Rule;
use crate::rules::meta::{Defaults, read_meta, unknown_unit};
use crate::rules::rhai::{Engine, Expression, FrameUse, Names, Place};
use crate::yaml::{Fields, Key, Node, Value, text_of};

/// A compiled rule, and the metric that it brings.
#[derive(Debug)]
pub struct RichRule {
    /// The rule.
    pub rule: Box<dyn Rule>,
    /// Its own metric; the caller adds it to the catalog.
    pub metric: Option<Metric>,
}

/// Compiles one item of `rules:`.
///
/// # Errors
/// All that is wrong with it, each at its place.
pub fn compile_rich(engine: &Arc<Engine>, file: &str, node: &Node, pack: &str, catalog: &Catalog) -> Result<RichRule, Vec<Problem>> {
    let mut fields = Fields::open(file, node, "a rule").map_err(|problem| vec![problem])?;
    let hash = digest(node);
    let meta = read_meta(file, &mut fields, Defaults { pack, engine: "rich", hash: &hash });
    let metric = own_metric(file, &mut fields);
    let mut known = catalog.clone();
    let own = metric.as_ref().map(|metric| (metric.frame.name.clone(), known.add(metric.frame.clone())));
    if let (Some((_, Err(message))), Some(at)) = (&own, fields.node("metric")) {
        fields.error(at, message.clone());
    }
    let from = read_from(&mut fields, own.map(|(name, _)| name), &known);
    let (Some(mut meta), Some(from)) = (meta, from) else {
        // Keys that were not asked for yet are not unknown.
        return Err(fields.problems);
    };
    meta.from = Some(from.name.clone());
    let mut reader = Reader { engine, file, fields, catalog: &known, from: &from, meta: &meta };
    let parts = reader.parts();
    let problems = reader.fields.finish();
    let Some(parts) = parts.filter(|_| problems.is_empty()) else { return Err(problems) };
    let (inputs, uses) = inputs(&parts, &from, &known);
    meta.inputs = inputs;
    let rule = Rich::new(engine.clone(), meta, uses, parts);
    rule.try_out().map_err(|message| vec![Problem::error(file, node.at, message)])?;
    Ok(RichRule { rule: Box::new(rule), metric })
}

fn own_metric(file: &str, fields: &mut Fields<'_>) -> Option<Metric> {
    let node = fields.node("metric")?;
    read_metric(file, node).map_err(|found| fields.problems.extend(found)).ok()
}

fn read_from(fields: &mut Fields<'_>, own: Option<String>, catalog: &Catalog) -> Option<Arc<FrameDef>> {
    let (name, at) = match (fields.node("from"), own) {
        (Some(node), _) => (text_of(node).unwrap_or_default(), node.at),
        (None, Some(own)) => (own, fields.at()),
        (None, None) if fields.node("metric").is_some() => return None,
        (None, None) => {
            let at = Node { value: Value::Null, at: fields.at() };
            fields.error(&at, "`from` is missing: the frame whose rows are judged");
            return None;
        }
    };
    let found = catalog.frame(&name).cloned();
    if found.is_none() {
        let near = Catalog::nearest(catalog.frames().map(|def| def.name.as_str()), &name);
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        fields.error(&Node { value: Value::Null, at }, format!("there is no frame `{name}`{hint}"));
    }
    found
}

/// All expressions of a rule.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) filter: Option<Expression>,
    /// What `filter` joins by `and`: each can be the one that keeps the rule from firing.
    pub(super) guards: Vec<Expression>,
    pub(super) value: Option<Expression>,
    pub(super) unit: Unit,
    /// Most severe first.
    pub(super) levels: Vec<Level>,
    pub(super) clear_when: Option<Expression>,
    pub(super) summary: Option<Template>,
    pub(super) detail: Option<Template>,
    pub(super) evidence: Vec<EvidenceItem>,
    pub(super) actions: Vec<ActionTemplate>,
}

impl Parts {
    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let plain = [&self.filter, &self.value, &self.clear_when].into_iter().flatten();
        let levels = self.levels.iter().flat_map(|level| [Some(&level.condition), level.limit.as_ref()]).flatten();
        let messages = [&self.summary, &self.detail].into_iter().flatten().flat_map(Template::expressions);
        let evidence = self.evidence.iter().map(|item| &item.value);
        let actions = self.actions.iter().flat_map(|action| action.params.iter().flat_map(|(_, value)| value.expressions()));
        plain.chain(levels).chain(messages).chain(evidence).chain(actions)
    }
}

/// What the expressions read, and the frames that they do.
fn inputs(parts: &Parts, from: &Arc<FrameDef>, catalog: &Catalog) -> (Vec<Input>, Vec<FrameUse>) {
    let mut inputs: BTreeSet<Input> = parts.expressions().flat_map(|expression| expression.inputs().iter().cloned()).collect();
    if inputs.iter().all(|input| input.frame != from.name) {
        inputs.insert(Input { frame: from.name.clone(), column: None, moment: Moment::Now, optional: false });
    }
    let frames: BTreeSet<&str> = inputs.iter().map(|input| input.frame.as_str()).collect();
    let uses = frames.into_iter().filter_map(|name| Some(FrameUse { def: catalog.frame(name)?.clone(), optional: false })).collect();
    (inputs.into_iter().collect(), uses)
}

struct Reader<'a> {
    engine: &'a Engine,
    file: &'a str,
    fields: Fields<'a>,
    catalog: &'a Catalog,
    from: &'a Arc<FrameDef>,
    meta: &'a RuleMeta,
}

impl Reader<'_> {
    /// `None` when there is no condition; other problems are gathered.
    fn parts(&mut self) -> Option<Parts> {
        let filter = self.expression_of("where", false);
        let value = self.expression_of("value", false);
        let has_value = self.fields.node("value").is_some();
        let unit = self.unit();
        let levels = [("critical", Severity::Critical), ("warning", Severity::Warning), ("info", Severity::Info)];
        let mut found = Vec::new();
        let mut named = false;
        for (key, severity) in levels {
            named |= self.fields.node(key).is_some();
            if let Some(condition) = self.expression_of(key, has_value) {
                let limit =
                    condition.limit().and_then(|text| self.compile(&text, &Node { value: Value::Null, at: self.fields.at() }, has_value));
                found.push(Level { severity, condition, limit });
            }
        }
        if !named {
            let at = Node { value: Value::Null, at: self.fields.at() };
            self.fields.error(&at, "`critical`, `warning` or `info` is missing: the condition");
        }
        let names = Names { from: self.from, catalog: self.catalog, settings: &self.meta.settings, value: false };
        let parts = Parts {
            guards: filter.iter().flat_map(|filter| filter.guards(&names)).collect(),
            filter,
            value,
            unit,
            levels: found,
            clear_when: self.expression_of("clear_when", has_value),
            summary: self.template_of("summary", has_value),
            detail: self.template_of("detail", has_value),
            evidence: self.evidence(has_value),
            actions: self.actions(has_value),
        };
        (!parts.levels.is_empty()).then_some(parts)
    }

    fn place(&self, node: &Node) -> Place {
        Place { file: self.file.into(), at: node.at }
    }

    fn compile(&mut self, text: &str, node: &Node, value: bool) -> Option<Expression> {
        let names = Names { from: self.from, catalog: self.catalog, settings: &self.meta.settings, value };
        Expression::compile(self.engine, text, self.place(node), &names).map_err(|found| self.fields.problems.extend(found)).ok()
    }

    fn expression(&mut self, node: &Node, what: &str, value: bool) -> Option<Expression> {
        match text_of(node) {
            Some(text) if is_open(&text) => {
                self.fields.error(node, format!("`{text}` is cut off; put an expression with a comma in quotes"));
                None
            }
            Some(text) => self.compile(&text, node, value),
            None => {
                self.fields.error(node, format!("`{what}` must be an expression, this is {}", node.value.kind()));
                None
            }
        }
    }

    fn expression_of(&mut self, key: &'static str, value: bool) -> Option<Expression> {
        let node = self.fields.node(key)?;
        self.expression(node, key, value)
    }

    fn template(&mut self, text: &str, node: &Node, value: bool) -> Option<Template> {
        let names = Names { from: self.from, catalog: self.catalog, settings: &self.meta.settings, value };
        Template::compile(self.engine, text, &self.place(node), &names).map_err(|found| self.fields.problems.extend(found)).ok()
    }

    fn template_of(&mut self, key: &'static str, value: bool) -> Option<Template> {
        let node = self.fields.node(key)?;
        let text = self.fields.text(key)?;
        self.template(&text, node, value)
    }

    fn unit(&mut self) -> Unit {
        let Some(node) = self.fields.node("unit") else { return Unit::None };
        self.unit_of(node)
    }

    fn unit_of(&mut self, node: &Node) -> Unit {
        let word = text_of(node).unwrap_or_default();
        Unit::parse(&word).unwrap_or_else(|| {
            self.fields.error(node, unknown_unit(&word));
            Unit::None
        })
    }

    /// `dead`, `{last vacuum: vacuum_age}` or `{idle share: 100 * ratio(idle, clients), unit: "%"}`.
    fn evidence(&mut self, value: bool) -> Vec<EvidenceItem> {
        let items = self.fields.list("evidence").unwrap_or_default();
        items.iter().filter_map(|item| self.evidence_item(item, value)).collect()
    }

    fn evidence_item(&mut self, item: &Node, value: bool) -> Option<EvidenceItem> {
        let Value::Map(entries) = &item.value else {
            let expression = self.expression(item, "evidence", value)?;
            let unit = self.from.column(expression.text()).map_or(Unit::None, |column| column.unit);
            return Some(EvidenceItem { name: metric_name(self.from, &expression), value: expression, unit });
        };
        let unit = entries.iter().find(|(key, _)| key.text == "unit").map(|(_, node)| self.unit_of(node));
        let entries = rejoined(entries);
        let [(name, node)] = entries.as_slice() else {
            self.fields.error(item, "a piece of evidence is `column`, or `{name: expression}` with an optional `unit`");
            return None;
        };
        let expression = self.expression(node, "evidence", value)?;
        let own = self.from.column(expression.text()).map_or(Unit::None, |column| column.unit);
        Some(EvidenceItem { name: name.clone(), value: expression, unit: unit.unwrap_or(own) })
    }

    /// `vacuum`, `{vacuum: {analyze: true}}` or `{note: text}`.
    fn actions(&mut self, value: bool) -> Vec<ActionTemplate> {
        let items = self.fields.list("actions").unwrap_or_default();
        items.iter().filter_map(|item| self.action(item, value)).collect()
    }

    fn action(&mut self, item: &Node, value: bool) -> Option<ActionTemplate> {
        let (name, at, params): (String, &Node, &[(Key, Node)]) = match &item.value {
            Value::Text(name) => (name.clone(), item, &[]),
            Value::Map(entries) => match entries.as_slice() {
                [(key, node)] if matches!(node.value, Value::Map(_) | Value::Null) => {
                    (key.text.clone(), item, if let Value::Map(params) = &node.value { params } else { &[] })
                }
                [(key, node)] if key.text == "note" => return self.note(node, value),
                _ => return self.wrong_action(item),
            },
            _ => return self.wrong_action(item),
        };
        if let Err(message) = kind(&name) {
            self.fields.error(at, message);
            return None;
        }
        let params = params.iter().filter_map(|(key, node)| self.param(&name, key, node, value)).collect();
        Some(ActionTemplate { kind: name, params })
    }

    fn wrong_action<T>(&mut self, item: &Node) -> Option<T> {
        self.fields.error(item, "an action is `vacuum`, `{vacuum: {analyze: true}}` or `{note: text}`");
        None
    }

    fn note(&mut self, node: &Node, value: bool) -> Option<ActionTemplate> {
        let text = self.template(&text_of(node)?, node, value)?;
        Some(ActionTemplate { kind: "note".into(), params: vec![("text".into(), text)] })
    }

    fn param(&mut self, action: &str, key: &Key, node: &Node, value: bool) -> Option<(String, Template)> {
        let Some(text) = text_of(node) else {
            self.fields.error(node, format!("parameter `{}` must be text, a number, true or false", key.text));
            return None;
        };
        let template = self.template(&text, node, value)?;
        let checked = template.constant().map_or(Ok(()), |text| kind(action)?.check_param(&key.text, text));
        if let Err(message) = checked.or_else(|message| if key.text == "why" { Ok(()) } else { Err(message) }) {
            self.fields.error(node, message);
        }
        Some((key.text.clone(), template))
    }
}

/// Entries but `unit`. YAML cuts `{share: ratio(a, b)}` at the comma; a key without a value belongs to the open bracket
/// before it.
fn rejoined(entries: &[(Key, Node)]) -> Vec<(String, Node)> {
    let mut joined: Vec<(String, Node)> = Vec::new();
    for (key, node) in entries.iter().filter(|(key, _)| key.text != "unit") {
        match joined.last_mut() {
            Some((_, Node { value: Value::Text(open), .. })) if node.value == Value::Null && is_open(open) => {
                open.push_str(", ");
                open.push_str(&key.text);
            }
            _ => joined.push((key.text.clone(), node.clone())),
        }
    }
    joined
}

/// Whether a bracket is not closed.
fn is_open(text: &str) -> bool {
    text.matches('(').count() > text.matches(')').count()
}

/// `tables.dead` for a column as it is, else the expression.
pub(super) fn metric_name(from: &FrameDef, expression: &Expression) -> String {
    let text = expression.text();
    if from.column(text).is_some() { format!("{}.{text}", from.name) } else { text.to_string() }
}

/// The hash of what an item says, wherever in its file it stands.
fn digest(node: &Node) -> String {
    let mut hash = Sha256::new();
    feed(&mut hash, node);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn feed(hash: &mut Sha256, node: &Node) {
    match &node.value {
        Value::List(items) => {
            hash.update(format!("[{}", items.len()));
            items.iter().for_each(|item| feed(hash, item));
        }
        Value::Map(entries) => {
            hash.update(format!("{{{}", entries.len()));
            for (key, item) in entries {
                hash.update(format!("{}:{}", key.text.len(), key.text));
                feed(hash, item);
            }
        }
        scalar => {
            let text = format!("{scalar:?}");
            hash.update(format!("{}={text}", text.len()));
        }
    }
}
