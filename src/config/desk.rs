//! Where the reading of all files comes together: problems, places and which lines hold secrets; and the bounded
//! quantities that every section reads in the same way.

use std::ops::RangeInclusive;

use pgsteward_helpers::{Dimension, parse_quantity, span};

use super::checked::{Asked, Place, Places};
use super::source::SourceFile;
use crate::env::Env;
use crate::model::Catalog;
use crate::problem::{Mark, Problem};
use crate::secret::Secret;
use crate::text::safe;
use crate::yaml::{Fields, Node, Value, text_of};

/// What reading gathers.
pub(super) struct Desk {
    pub env: Env,
    pub problems: Vec<Problem>,
    pub places: Places,
    /// Where plain secrets begin.
    pub secrets: Vec<Place>,
    /// Secrets of channels that are kept elsewhere.
    pub elsewhere: Vec<(Place, Secret)>,
    /// What matchers and groupings ask for.
    pub asked: Vec<Asked>,
}

impl Desk {
    pub fn new(env: &Env) -> Self {
        let (problems, places, secrets, elsewhere, asked) = Default::default();
        Self { env: env.clone(), problems, places, secrets, elsewhere, asked }
    }

    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub fn error(&mut self, file: &SourceFile, node: &Node, message: impl Into<String>) {
        self.push(Problem::error(&file.name, node.at, message));
    }

    pub fn error_hint(&mut self, file: &SourceFile, node: &Node, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Problem::error(&file.name, node.at, message).hint(hint));
    }

    pub fn warn(&mut self, file: &SourceFile, node: &Node, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Problem::warning(&file.name, node.at, message).hint(hint));
    }

    /// Notes where a path of the config stands.
    pub fn place(&mut self, path: String, file: &SourceFile, at: Mark) {
        self.places.0.insert(path, Place { file: file.name.clone(), at });
    }

    /// Notes that a secret is written out here, so that no problem shows the line.
    pub fn plain_secret(&mut self, file: &SourceFile, node: &Node) {
        self.secrets.push(Place { file: file.name.clone(), at: node.at });
    }

    /// Notes that alerts are asked for a label, and for which values of it where they are known.
    pub fn asks(&mut self, file: &SourceFile, at: Mark, label: &str, values: &[String]) {
        let place = Place { file: file.name.clone(), at };
        self.asked.push(Asked { place, label: label.into(), values: values.to_vec() });
    }

    /// Opens a map, or notes that it is none.
    pub fn open<'a>(&mut self, file: &'a SourceFile, node: &'a Node, what: &str) -> Option<Fields<'a>> {
        Fields::open(&file.name, node, what).map_err(|problem| self.push(problem)).ok()
    }

    /// Ends a map: unknown keys become problems. Says whether all of it was understood.
    pub fn finish(&mut self, mut fields: Fields<'_>) -> bool {
        let file = fields.file().to_string();
        let secrets = std::mem::take(&mut fields.secrets);
        self.secrets.extend(secrets.into_iter().map(|at| Place { file: file.clone(), at }));
        let elsewhere = std::mem::take(&mut fields.elsewhere);
        let kept = |node: &Node| Some((Place { file: file.clone(), at: node.at }, Secret::elsewhere(&file, node)?));
        self.elsewhere.extend(elsewhere.into_iter().filter_map(kept));
        let problems = fields.finish();
        let clean = problems.is_empty();
        self.problems.extend(problems);
        clean
    }

    /// One of a few words.
    pub fn word(&mut self, file: &SourceFile, key: &str, node: &Node, words: &[&'static str]) -> Option<&'static str> {
        let text = text_of(node);
        let found = words.iter().copied().find(|word| Some(*word) == text.as_deref());
        if found.is_none() {
            let problem = format!("`{key}` cannot be {}", shown(node));
            self.error_hint(file, node, problem, choose(words.iter().copied(), text.as_deref().unwrap_or_default()));
        }
        found
    }

    /// A duration in whole seconds; a plain number is seconds.
    pub fn seconds(&mut self, file: &SourceFile, key: &str, node: &Node, range: RangeInclusive<u64>) -> Option<u64> {
        let limits = *range.start() as f64..=*range.end() as f64;
        let found = amount(node, &[Dimension::Seconds, Dimension::Number]).and_then(|s| within(s, &limits, span));
        let found = found.map_err(|reason| match node.value {
            Value::Number(_) if !reason.is_empty() => format!("{reason} (a plain number is seconds)"),
            _ => reason,
        });
        self.keep(file, key, node, found, "a duration such as `30s`, `10m` or `1h`").map(|s| s.round() as u64)
    }

    /// A duration in milliseconds. It needs its unit, since a plain number is milliseconds to PostgreSQL and seconds here.
    pub fn millis(&mut self, file: &SourceFile, key: &str, node: &Node, range: RangeInclusive<u64>) -> Option<u64> {
        let limits = *range.start() as f64..=*range.end() as f64;
        let found = amount(node, &[Dimension::Seconds]).and_then(|s| within(s * 1e3, &limits, |ms| format!("{ms} ms")));
        self.keep(file, key, node, found, "a duration with its unit, such as `100ms` or `5s`").map(|ms| ms.round() as u64)
    }

    /// A size in bytes.
    pub fn bytes(&mut self, file: &SourceFile, key: &str, node: &Node, range: RangeInclusive<u64>) -> Option<u64> {
        let limits = *range.start() as f64..=*range.end() as f64;
        let found = amount(node, &[Dimension::Bytes]).and_then(|b| within(b, &limits, pgsteward_helpers::bytes));
        self.keep(file, key, node, found, "a size with its unit, such as `500MB` or `2GB`").map(|b| b.round() as u64)
    }

    /// A plain number or a percentage.
    pub fn number(&mut self, file: &SourceFile, key: &str, node: &Node, range: RangeInclusive<f64>, example: &str) -> Option<f64> {
        let found = amount(node, &[Dimension::Number, Dimension::Percent]).and_then(|n| within(n, &range, |n| n.to_string()));
        self.keep(file, key, node, found, example)
    }

    /// A whole number.
    pub fn whole(&mut self, file: &SourceFile, key: &str, node: &Node, range: RangeInclusive<u32>) -> Option<u32> {
        let limits = f64::from(*range.start())..=f64::from(*range.end());
        let found = amount(node, &[Dimension::Number]).and_then(|n| if n.fract() == 0.0 { Ok(n) } else { Err(String::new()) });
        let found = found.and_then(|n| within(n, &limits, |n| n.to_string()));
        self.keep(file, key, node, found, &format!("a whole number such as `{}`", range.start())).map(|n| n as u32)
    }

    fn keep(&mut self, file: &SourceFile, key: &str, node: &Node, found: Result<f64, String>, expected: &str) -> Option<f64> {
        found
            .map_err(|reason| match reason.is_empty() {
                true => self.error(file, node, format!("`{key}` must be {expected}, this is {}", shown(node))),
                false => self.error(file, node, format!("`{key}` {reason}, this is {}", shown(node))),
            })
            .ok()
    }
}

/// The amount of a scalar; an empty reason when it is of another kind.
fn amount(node: &Node, dimensions: &[Dimension]) -> Result<f64, String> {
    match &node.value {
        Value::Number(number) if dimensions.contains(&Dimension::Number) => Ok(*number),
        Value::Text(text) => {
            parse_quantity(text).ok().filter(|q| dimensions.contains(&q.dimension)).map(|q| q.value).ok_or_else(String::new)
        }
        _ => Err(String::new()),
    }
}

fn within(value: f64, range: &RangeInclusive<f64>, show: impl Fn(f64) -> String) -> Result<f64, String> {
    if range.contains(&value) {
        return Ok(value);
    }
    if value < 0.0 {
        return Err("cannot be negative".into());
    }
    Err(format!("must be between {} and {}", show(*range.start()), show(*range.end())))
}

/// The entries of a list; a single value is a list of one.
pub(super) fn entries(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(list) => list,
        _ => std::slice::from_ref(node),
    }
}

/// What stands there, for a message.
pub(super) fn shown(node: &Node) -> String {
    text_of(node).map_or_else(|| node.value.kind().to_string(), |text| format!("`{text}`"))
}

/// "did you mean", or all there is to choose from.
pub(super) fn choose<'a>(known: impl Iterator<Item = &'a str> + Clone, wrong: &str) -> String {
    if let Some(near) = Catalog::nearest(known.clone(), wrong) {
        return format!("did you mean `{near}`?");
    }
    let mut names: Vec<&str> = known.take(13).collect();
    let more = if names.len() > 12 { ", ..." } else { "" };
    names.truncate(12);
    if names.is_empty() { "there is none".into() } else { format!("known here: {}{more}", names.join(", ")) }
}

/// Makes text from a file fit for one line of a terminal, and not without end.
pub(super) fn tame(text: &str) -> String {
    const MOST: usize = 400;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => safe(text.get(..end).unwrap_or_default()) + "...",
        None => safe(text),
    }
}
