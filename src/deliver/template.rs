//! Templates: how a user words what a channel says. `title` is plain text, `body` the receiver's own markup; each is made for
//! one notice, from the fields of its `Card`. Where a message tells of several, they stand one below the other.
//!
//! What a template writes out of a field is escaped for the receiver, always: `safe`, `autoescape false` and captured
//! blocks change nothing. Work and output are bounded, no other file can be read, and a name that does not exist is an
//! error, but for what stands in `labels` and `about`: not every notice has the same, and what one has not is written as
//! nothing. All of it shows at config time, since every template is tried on samples there; one that fails later costs
//! nobody the notice (`story`).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use minijinja::value::{Object, Serde, Value, merge_maps};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, UndefinedBehavior};
use serde::Serialize;

use super::card::Card;
use super::escape::Escape;
use crate::model::{ActionRequest, Evidence, Link, Notice, NoticeKind, Severity, Unit};
use crate::problem::Problem;
use crate::text::safe;
use crate::yaml::{self, Fields, Node, text_of};

/// Work that one template may do: instructions, and 64 bytes for one.
const FUEL: u64 = 50_000;
/// Bytes that one template may make.
const MOST: usize = 32 * 1024;
/// Bytes that a template may have.
const LONGEST: u64 = 64 * 1024;

/// Filters of our field, each with one line, for the reference page. The usual ones of Jinja are there too.
pub const FILTERS: &[(&str, &str)] = &[
    ("bytes", "a number of bytes as `1.5 GB`"),
    ("span", "a number of seconds as `1d 2h`"),
    ("unit", "a number in its unit: `{{ fact.value|unit(fact.unit) }}`"),
];

/// A user's wording of one channel.
#[derive(Clone)]
pub struct Templates {
    title: Option<Template>,
    body: Option<Template>,
}

#[derive(Clone)]
struct Template {
    name: &'static str,
    source: String,
    machine: Arc<Environment<'static>>,
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the template `{name}` fails in line {line}: {detail}")]
pub struct TemplateError {
    /// `title` or `body`.
    name: &'static str,
    /// Line of the template, from 1.
    line: usize,
    /// What is wrong.
    detail: String,
}

impl Templates {
    /// No wording but our own.
    #[must_use]
    pub fn none() -> Self {
        Self { title: None, body: None }
    }

    /// Takes `templates` from a channel's map and tries them. `body` is the markup that the receiver obeys. What is wrong
    /// is noted in `fields`.
    pub fn take(fields: &mut Fields<'_>, body: Escape) -> Self {
        let file = fields.file();
        let Some(node) = fields.node("templates") else { return Self::none() };
        let mut own = match Fields::open(file, node, "`templates`") {
            Ok(own) => own,
            Err(problem) => {
                fields.problems.push(problem);
                return Self::none();
            }
        };
        let templates = Self { title: Template::take(&mut own, "title", Escape::Plain), body: Template::take(&mut own, "body", body) };
        fields.problems.append(&mut own.finish());
        templates
    }

    /// The title of a notice, in plain text of one line, if the user words it.
    #[must_use]
    pub fn title(&self, card: &Card) -> Option<Result<String, TemplateError>> {
        let title = self.title.as_ref()?.render(card);
        Some(title.map(|text| safe(text.split_whitespace().collect::<Vec<_>>().join(" ").as_str())))
    }

    /// What is said of a notice, in the receiver's markup, if the user words it.
    #[must_use]
    pub fn body(&self, card: &Card) -> Option<Result<String, TemplateError>> {
        let body = self.body.as_ref()?.render(card);
        Some(body.map(|text| text.trim().lines().map(safe).collect::<Vec<_>>().join("\n")))
    }
}

impl Template {
    fn take(fields: &mut Fields<'_>, name: &'static str, escape: Escape) -> Option<Self> {
        let node = fields.node(name)?;
        let tried = source(fields.file(), node).and_then(|source| {
            let template = Self::new(name, source, escape).map_err(|e| e.to_string())?;
            template.check().map_err(|e| e.to_string())?;
            Ok(template)
        });
        match tried {
            Ok(template) => Some(template),
            Err(message) => {
                let known: Vec<&str> = Card::FIELDS.iter().map(|(name, _)| *name).collect();
                let hint = format!("names known here: {}", known.join(", "));
                fields.problems.push(Problem::error(fields.file(), node.at, message).hint(hint));
                None
            }
        }
    }

    fn new(name: &'static str, source: String, escape: Escape) -> Result<Self, TemplateError> {
        let mut machine = machine(escape, UndefinedBehavior::Lenient);
        machine.add_template_owned(name, source.clone()).map_err(|error| explain(name, &error))?;
        Ok(Self { name, source, machine: Arc::new(machine) })
    }

    /// Whether all its names exist, and whether it makes something of every kind of notice.
    fn check(&self) -> Result<(), TemplateError> {
        let template = self.machine.get_template(self.name).map_err(|error| explain(self.name, &error))?;
        let known =
            |name: &String| Card::FIELDS.iter().any(|(field, _)| field == name) || self.machine.globals().any(|(global, _)| global == name);
        let mut unknown: Vec<String> = template.undeclared_variables(false).into_iter().filter(|name| !known(name)).collect();
        unknown.sort();
        if let Some(name) = unknown.first() {
            let line = self.source.lines().position(|line| line.contains(name.as_str())).map_or(1, |at| at + 1);
            return Err(TemplateError { name: self.name, line, detail: format!("there is no name `{name}`") });
        }
        let samples = samples().map(|notice| Value::from(Serde(Card::of(&notice))));
        samples.iter().try_for_each(|card| self.check_names(card))?;
        samples.into_iter().try_for_each(|card| self.make(card).map(drop))
    }

    /// Whether what it looks for in `facts`, `links` and the like is there; labels may have any name.
    fn check_names(&self, card: &Value) -> Result<(), TemplateError> {
        let mut strict = machine(Escape::Plain, UndefinedBehavior::SemiStrict);
        strict.add_template(self.name, &self.source).map_err(|error| explain(self.name, &error))?;
        let labels = ["labels", "about"].map(|name| (name, Value::from_object(AnyLabel)));
        let card = merge_maps([card.clone(), Value::from_pairs(labels)]);
        match strict.get_template(self.name).and_then(|template| template.render(card)) {
            Err(error) if is_unknown_name(&error) => Err(explain(self.name, &error)),
            _ => Ok(()),
        }
    }

    fn render(&self, card: &Card) -> Result<String, TemplateError> {
        self.make(Value::from(Serde(card)))
    }

    fn make(&self, card: Value) -> Result<String, TemplateError> {
        let made = self.machine.get_template(self.name).and_then(|template| template.render(card));
        let text = made.map_err(|error| explain(self.name, &error))?;
        if text.len() > MOST {
            let detail = format!("it makes more than {} kB", MOST / 1024);
            return Err(TemplateError { name: self.name, line: 1, detail });
        }
        Ok(text)
    }
}

/// The text that stands there, or in the file that it names, which is looked for beside the config.
fn source(config: &str, node: &Node) -> Result<String, String> {
    let file = match &node.value {
        yaml::Value::Map(entries) => match entries.as_slice() {
            [(key, path)] if key.text == "file" => text_of(path),
            _ => None,
        },
        _ => return text_of(node).ok_or_else(|| "a template must be text or {file: /path}".to_string()),
    };
    let file = file.ok_or("a template must be text or {file: /path}")?;
    let path = Path::new(config).parent().map_or_else(|| file.clone().into(), |folder| folder.join(&file));
    let unreadable = |error: std::io::Error| format!("the template file `{}` cannot be read: {error}", path.display());
    if std::fs::metadata(&path).map_err(unreadable)?.len() > LONGEST {
        return Err(format!("the template file `{}` is longer than {} kB", path.display(), LONGEST / 1024));
    }
    std::fs::read_to_string(&path).map_err(unreadable)
}

/// What runs a template. Its own escapes are switched off: `written` escapes whatever comes.
fn machine(escape: Escape, undefined: UndefinedBehavior) -> Environment<'static> {
    let mut machine = Environment::new();
    machine.set_fuel(Some(FUEL));
    machine.set_undefined_behavior(undefined);
    machine.set_auto_escape_callback(|_| AutoEscape::Custom("receiver".into()));
    machine.set_formatter(move |out, _, value| written(escape, out, value));
    for name in ["safe", "escape", "e"] {
        machine.add_filter(name, refused);
    }
    machine.add_filter("bytes", |value: Value| shown(&value, Unit::Bytes));
    machine.add_filter("span", |value: Value| shown(&value, Unit::Seconds));
    machine.add_filter("unit", |value: Value, unit: String| match Unit::parse(&unit) {
        Some(unit) => shown(&value, unit),
        None => Err(Error::new(ErrorKind::InvalidOperation, format!("there is no unit `{unit}`"))),
    });
    machine
}

fn written(escape: Escape, out: &mut Output<'_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Ok(());
    }
    let text = if value.is_none() { "unknown".into() } else { value.to_string() };
    // Safe is only what this function has written before, into a captured block.
    let text = if value.is_safe() { text } else { escape.text(&text) };
    out.write_str(&text).map_err(Error::from)
}

fn refused(_: Value) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "values are always escaped for the receiver; leave the filter out"))
}

fn shown(value: &Value, unit: Unit) -> Result<String, Error> {
    if value.is_none() {
        return Ok("unknown".into());
    }
    let number = f64::try_from(value.clone());
    number
        .map(|number| unit.show(number))
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("a number is needed, not {}", value.kind())))
}

fn explain(name: &'static str, error: &Error) -> TemplateError {
    let detail = match error.kind() {
        ErrorKind::UndefinedError => error.detail().unwrap_or("a name in it is undefined").into(),
        ErrorKind::OutOfFuel => "it does too much".into(),
        kind => error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
    };
    TemplateError { name, line: error.line().unwrap_or(1), detail: safe(&super::render::cut(&detail, 200)) }
}

/// Labels of a notice that has them all, whatever they are called.
#[derive(Debug)]
struct AnyLabel;

impl Object for AnyLabel {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        name.as_str().map(Value::from)
    }
}

fn is_unknown_name(error: &Error) -> bool {
    error.kind() == ErrorKind::UndefinedError
}

/// Notices that a template must be able to word: one with everything, its end, and one with nothing.
fn samples() -> [Notice; 3] {
    let table: crate::model::Labels = [("database", "shop"), ("schema", "public"), ("table", "orders")].into_iter().collect();
    let full = Notice {
        key: "sample".into(),
        channel: "sample".into(),
        episode: "sample".into(),
        target: "orders-1".into(),
        cluster: Some("orders".into()),
        rule: "dead_tuples_past_trigger".into(),
        title: "dead rows past the vacuum trigger".into(),
        category: "vacuum".into(),
        subject: table.clone(),
        severity: Severity::Warning,
        summary: "1.2 M dead rows".into(),
        detail: "No vacuum is running.".into(),
        evidence: vec![Evidence { metric: "tables.dead".into(), value: Some(1.2e6), threshold: Some(1e6), unit: Unit::Rows }],
        actions: vec![ActionRequest { kind: "vacuum".into(), subject: table, ..ActionRequest::default() }],
        runbook: "Vacuum the table.".into(),
        links: vec![Link { title: "Manual".into(), url: "https://example.org/".into() }],
        ..Notice::default()
    };
    let over = Notice { kind: NoticeKind::Resolved, ..full.clone() };
    [full, over, Notice { kind: NoticeKind::Heartbeat, drill: true, ..Notice::default() }]
}

/// What it says, so that a changed file is a changed setting.
impl Serialize for Templates {
    fn serialize<S: serde::Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        ser.collect_map([&self.title, &self.body].into_iter().flatten().map(|template| (template.name, &template.source)))
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [&self.title, &self.body].into_iter().flatten().map(|template| template.name);
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{hostile_notice, notice};
    use super::*;

    fn taken(yaml: &str, escape: Escape) -> (Templates, Vec<String>) {
        let root = yaml::parse("c.yaml", yaml).unwrap();
        let mut fields = Fields::open("c.yaml", &root, "a channel").unwrap();
        let templates = Templates::take(&mut fields, escape);
        (templates, fields.finish().into_iter().map(|problem| problem.hint("").to_string()).collect())
    }

    fn body(source: &str, escape: Escape, notice: &Notice) -> String {
        let template = Template::new("body", source.into(), escape).unwrap();
        Templates { title: None, body: Some(template) }.body(&Card::of(notice)).unwrap().unwrap()
    }

    #[test]
    fn a_user_words_title_and_body_with_the_fields_of_a_card() {
        let yaml = "templates:\n  title: '{{ severity|upper }} {{ target }}'\n  body: |\n    *{{ summary }}*\n    {% for fact in facts %}{{ fact.name }}={{ fact.value|unit(fact.unit) }} {% endfor %}\n    since {{ lasted|span }}\n";
        let (templates, problems) = taken(yaml, Escape::Slack);
        assert_eq!(problems, Vec::<String>::new());
        let card = Card::of(&notice("k"));
        assert_eq!(templates.title(&card), Some(Ok("WARNING orders-1".into())));
        assert_eq!(
            templates.body(&card),
            Some(Ok("*1.2 M dead rows, 6 x the vacuum trigger*\ntables.dead=1.2 M rows dead / trigger=6 x \nsince 10m".into()))
        );
    }

    #[test]
    fn what_is_wrong_shows_at_config_time_with_its_line() {
        let of = |body: &str| taken(&format!("templates: {{body: {}}}", serde_json::json!(body)), Escape::Slack).1;
        let at = |line: usize, detail: &str| vec![format!("c.yaml:1:19: error: the template `body` fails in line {line}: {detail}; ")];
        assert_eq!(of("ok\n{{ sumary }}"), at(2, "there is no name `sumary`"));
        let facts = "{% for fact in facts %}\n{{ fact.nmae }}{% endfor %}";
        assert_eq!(of(facts), at(2, "`fact.nmae` is undefined"));
        assert_eq!(of("{{ see.more }}{{ labels.team }}"), at(1, "`see.more` is undefined"));
        assert_eq!(
            of("\n{{ summary|safe }}"),
            at(2, "invalid operation: values are always escaped for the receiver; leave the filter out")
        );
        assert_eq!(of("{% include '/etc/passwd' %}"), at(1, "syntax error: unknown statement include"));
        assert_eq!(of("{% for a in range(9000) %}{% for b in range(9000) %}x{% endfor %}{% endfor %}"), at(1, "it does too much"));
        assert_eq!(of("{{ 'x' * 100000 }}"), at(1, "it makes more than 32 kB"));
        assert_eq!(of("{{ 'x' * 100000000 }}"), at(1, "it does too much"));
        assert_eq!(of("{{ 1|unit('yard') }}"), at(1, "invalid operation: there is no unit `yard`"));
        for fine in ["{{ labels.team }} {{ about.table|upper }}", "{% if labels.team %}x{% endif %}{{ about.x|default('-') }}"] {
            assert_eq!(of(fine), Vec::<String>::new());
        }
        let (_, problems) = taken("templates: {body: [1], titel: x}", Escape::Slack);
        assert_eq!(
            problems,
            ["c.yaml:1:19: error: a template must be text or {file: /path}; ", "c.yaml:1:24: error: unknown key `titel`; "]
        );
    }

    #[test]
    fn a_label_that_a_notice_has_not_is_written_as_nothing() {
        let with = Notice { labels: [("team", "shop")].into_iter().collect(), ..notice("k") };
        let source = "[{{ labels.team }}] {{ labels.team|default('nobody') }}{% if labels.team == 'shop' %}!{% endif %}";
        assert_eq!([with, notice("k")].map(|notice| body(source, Escape::Plain, &notice)), ["[shop] shop!", "[] nobody"]);
    }

    #[test]
    fn a_template_may_stand_in_a_file_beside_the_config() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("body.md"), "{{ summary }}!").unwrap();
        let config = folder.path().join("config.yaml").display().to_string();
        let root = yaml::parse(&config, "templates: {body: {file: body.md}}").unwrap();
        let mut fields = Fields::open(&config, &root, "a channel").unwrap();
        let templates = Templates::take(&mut fields, Escape::Plain);
        assert_eq!(fields.finish(), []);
        assert_eq!(serde_json::json!(templates), serde_json::json!({"body": "{{ summary }}!"}));
        let missing = source("config.yaml", &yaml::parse("c", "{file: /nowhere/x}").unwrap()).unwrap_err();
        assert!(missing.starts_with("the template file `/nowhere/x` cannot be read: "), "{missing}");
    }

    #[test]
    fn no_way_of_writing_leaves_a_name_unescaped() {
        let mut hostile = hostile_notice("k");
        hostile.summary = "<!channel>".into();
        hostile.subject.set("table", "<!channel>");
        for source in [
            "{{ summary }}",
            "{{ about.table }}{{ about }}{{ [summary] }}",
            "{% autoescape false %}{{ summary }}{% endautoescape %}",
            "{% set x %}{{ summary }}{% endset %}{{ x }}{{ x|upper|lower }}",
            "{% set x %}-{% endset %}{{ x ~ summary }}{{ summary ~ x }}{{ x + summary }}{{ [x, summary]|join(x) }}",
            "{% set x %}%s a{% endset %}{{ x|format(summary) }}{{ x|replace('a', summary) }}",
            "{% filter trim %}{{ summary }}{% endfilter %}{{ summary|indent(2) }}{{ summary|list|join }}",
        ] {
            let shown = body(source, Escape::Slack, &hostile);
            assert!(!shown.contains('<') && shown.contains("&lt;"), "{source}: {shown}");
        }
    }

    proptest! {
        #[test]
        fn any_template_ends_and_stays_within_its_limits(source in "[a-z{}%|.'\"() 0-9*~\\n-]{0,60}") {
            let template = Template::new("body", source, Escape::Markdown);
            if let Ok(text) = template.and_then(|template| template.render(&Card::of(&notice("k")))) {
                prop_assert!(text.len() <= MOST);
            }
        }
    }
}
