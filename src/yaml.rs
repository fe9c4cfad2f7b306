//! YAML as a tree that remembers where each value stands, and `Fields`, which reads a map and gathers every problem.
//!
//! serde stops at the first error; a person wants all of them at once. So a file is parsed to `Node`s first (the parser
//! bounds depth, size and aliases against hostile files), and each room then takes what it knows from a map: whatever
//! is left over is an unknown key, with the nearest known one as a hint. Open to every room.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use crate::model::Catalog;
use crate::problem::{Mark, Problem};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it begins.
    pub at: Mark,
}

/// What a node is. Text keeps its spelling; a plain `1.2M` is text, `500` a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// Any number.
    Number(f64),
    /// Any other scalar.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A map, in the order it was written.
    Map(Vec<(Key, Node)>),
}

/// A map key and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Its text; a number as it is written in decimal.
    pub text: String,
    /// Where it begins.
    pub at: Mark,
}

impl Value {
    /// What a person would call it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Parses one document.
///
/// # Errors
/// The parser's error as a problem: syntax, a duplicate key, or a file beyond the parser's limits.
pub fn parse(file: &str, text: &str) -> Result<Node, Problem> {
    let options = serde_yaml::options! { strict_booleans: true, with_snippet: false };
    if text.trim().is_empty() || text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#')) {
        return Ok(Node { value: Value::Null, at: Mark { line: 1, column: 1 } });
    }
    serde_yaml::from_str_with_options::<Node>(text, options).map_err(|error| {
        let at = error.location().map(|l| Mark { line: l.line() as u32, column: l.column() as u32 });
        Problem::error(file, at, first_line(&error.to_string()))
    })
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_string()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(de)?;
        let at = Mark { line: spanned.referenced.line() as u32, column: spanned.referenced.column() as u32 };
        Ok(Self { value: spanned.value, at })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Flag(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v as f64))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(v as f64))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Value::Number(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Text(v.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let at = Mark { line: key.referenced.line() as u32, column: key.referenced.column() as u32 };
            entries.push((Key { text: key.value, at }, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}

/// Reads a map key by key, gathers problems, and reports what nobody asked for.
#[derive(Debug)]
pub struct Fields<'a> {
    file: &'a str,
    at: Mark,
    entries: &'a [(Key, Node)],
    asked: Vec<&'static str>,
    refused: Vec<&'static str>,
    /// Problems so far.
    pub problems: Vec<Problem>,
    /// Where secrets are written out, so that no problem shows their lines.
    pub secrets: Vec<Mark>,
    /// Values that say where else a secret is kept.
    pub elsewhere: Vec<&'a Node>,
}

impl<'a> Fields<'a> {
    /// Opens a map.
    ///
    /// # Errors
    /// When the node is something else; `what` names what it should describe, for example `a rule`.
    pub fn open(file: &'a str, node: &'a Node, what: &str) -> Result<Self, Problem> {
        let entries: &[(Key, Node)] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            other => return Err(Problem::error(file, node.at, format!("{what} must be a map, this is {}", other.kind()))),
        };
        let (asked, refused, problems, secrets, elsewhere) = Default::default();
        Ok(Self { file, at: node.at, entries, asked, refused, problems, secrets, elsewhere })
    }

    /// The file that it stands in, as the person named it.
    #[must_use]
    pub fn file(&self) -> &'a str {
        self.file
    }

    /// Where the map begins.
    #[must_use]
    pub fn at(&self) -> Mark {
        self.at
    }

    /// The node of a key; an explicit `null` counts as absent.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        self.entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node).filter(|n| n.value != Value::Null)
    }

    /// The node of a key that must be there.
    pub fn required(&mut self, key: &'static str) -> Option<&'a Node> {
        let node = self.node(key);
        if node.is_none() {
            self.problems.push(Problem::error(self.file, self.at, format!("`{key}` is missing")));
        }
        node
    }

    /// Text; a bare number or flag is taken as it is written.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let node = self.node(key)?;
        match text_of(node) {
            Some(text) => Some(text),
            None => self.wrong(key, node, "text"),
        }
    }

    /// True or false.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        match node.value {
            Value::Flag(flag) => Some(flag),
            _ => self.wrong(key, node, "true or false"),
        }
    }

    /// A number or a quantity such as `512MB`, in its base unit.
    pub fn number(&mut self, key: &'static str) -> Option<f64> {
        let node = self.node(key)?;
        match number_of(node) {
            Ok(value) => Some(value),
            Err(reason) => self.wrong(key, node, &format!("a number ({reason})")),
        }
    }

    /// A duration: `10m`, or a plain number of seconds.
    pub fn seconds(&mut self, key: &'static str) -> Option<u64> {
        let node = self.node(key)?;
        match seconds_of(node) {
            Some(value) => Some(value),
            None => self.wrong(key, node, "a duration such as `30s`, `10m` or `1h`"),
        }
    }

    /// A list, or a single value as a list of one.
    pub fn list(&mut self, key: &'static str) -> Option<&'a [Node]> {
        let node = self.node(key)?;
        match &node.value {
            Value::List(list) => Some(list),
            Value::Map(_) => self.wrong(key, node, "a list"),
            _ => Some(std::slice::from_ref(node)),
        }
    }

    /// A list of texts, or a single text.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let list = self.list(key)?;
        let mut texts = Vec::new();
        for node in list {
            match text_of(node) {
                Some(text) => texts.push(text),
                None => {
                    self.problems.push(Problem::error(self.file, node.at, format!("`{key}` must hold text, this is {}", node.value.kind())))
                }
            }
        }
        Some(texts)
    }

    /// A map with free keys, such as labels.
    pub fn map(&mut self, key: &'static str) -> Option<&'a [(Key, Node)]> {
        let node = self.node(key)?;
        match &node.value {
            Value::Map(entries) => Some(entries),
            _ => self.wrong(key, node, "a map"),
        }
    }

    /// A key that is understood but cannot be used here: a problem at the key when somebody wrote it.
    pub fn refuse(&mut self, key: &'static str, message: &str) {
        self.refused.push(key);
        if let Some((written, _)) = self.entries.iter().find(|(k, _)| k.text == key) {
            self.problems.push(Problem::error(self.file, written.at, format!("`{key}` {message}")));
        }
    }

    /// Notes a problem at a node.
    pub fn error(&mut self, node: &Node, message: impl Into<String>) {
        self.problems.push(Problem::error(self.file, node.at, message));
    }

    fn wrong<T>(&mut self, key: &str, node: &Node, expected: &str) -> Option<T> {
        self.problems.push(Problem::error(self.file, node.at, format!("`{key}` must be {expected}, this is {}", shown(node))));
        None
    }

    /// Ends the reading: every key that nobody asked for is a problem.
    #[must_use]
    pub fn finish(mut self) -> Vec<Problem> {
        for (key, node) in self.entries {
            if !self.asked.contains(&key.text.as_str()) && !self.refused.contains(&key.text.as_str()) {
                let problem = Problem::error(self.file, key.at, format!("unknown key `{}`", key.text));
                self.problems.push(match Catalog::nearest(self.asked.iter().copied(), &key.text) {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None if is_text_after_comma(key, node) => problem.hint("a comma ends a value within {}: quote a text that holds one"),
                    None => problem.hint(format!("known here: {}", self.asked.join(", "))),
                });
            }
        }
        self.problems
    }
}

/// Whether a key without value is rather the rest of a text: in `{why: batch hosts, ticket 311}` the comma ends the text.
fn is_text_after_comma(key: &Key, node: &Node) -> bool {
    node.value == Value::Null && !key.text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

fn shown(node: &Node) -> String {
    text_of(node).map_or_else(|| node.value.kind().to_string(), |text| format!("`{text}`"))
}

/// The text of a scalar.
#[must_use]
pub fn text_of(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Flag(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The number of a scalar, quantities included.
///
/// # Errors
/// Why it is none.
pub fn number_of(node: &Node) -> Result<f64, String> {
    match &node.value {
        Value::Number(number) => Ok(*number),
        Value::Text(text) => pgsteward_helpers::parse_quantity(text).map(|q| q.value).map_err(|e| e.to_string()),
        other => Err(format!("this is {}", other.kind())),
    }
}

/// The duration of a scalar in whole seconds.
#[must_use]
pub fn seconds_of(node: &Node) -> Option<u64> {
    use pgsteward_helpers::{Dimension, parse_quantity};
    let value = match &node.value {
        Value::Number(number) => *number,
        Value::Text(text) => parse_quantity(text).ok().filter(|q| matches!(q.dimension, Dimension::Seconds | Dimension::Number))?.value,
        _ => return None,
    };
    (0.0..=1e10).contains(&value).then_some(value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_place() {
        let root = parse("f", "a: 1\nb:\n  - x\n  - {c: 512MB, 14: yes}\n").unwrap();
        let Value::Map(entries) = &root.value else { panic!("a map") };
        assert_eq!(entries[1].0, Key { text: "b".into(), at: Mark { line: 2, column: 1 } });
        let Value::List(list) = &entries[1].1.value else { panic!("a list") };
        assert_eq!(list[0], Node { value: Value::Text("x".into()), at: Mark { line: 3, column: 5 } });
        let Value::Map(inner) = &list[1].value else { panic!("a map") };
        assert_eq!(inner[0].1, Node { value: Value::Text("512MB".into()), at: Mark { line: 4, column: 9 } });
        assert_eq!(inner[1].0.text, "14");
    }

    #[test]
    fn all_problems_of_a_map_come_at_once() {
        let root = parse("f", "nam: x\nfor: soon\nlimit: [1]\n").unwrap();
        let mut fields = Fields::open("f", &root, "a rule").unwrap();
        assert_eq!(fields.text("name"), None);
        assert_eq!(fields.seconds("for"), None);
        assert_eq!(fields.number("limit"), None);
        let problems: Vec<String> = fields.finish().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "f:2:6: error: `for` must be a duration such as `30s`, `10m` or `1h`, this is `soon`",
                "f:3:8: error: `limit` must be a number (this is a list), this is a list",
                "f:1:1: error: unknown key `nam`; did you mean `name`?",
            ]
        );
    }

    #[test]
    fn a_text_cut_by_its_comma_is_told_from_an_unknown_key() {
        let root = parse("f", "{why: batch hosts, ticket 311}").unwrap();
        let mut fields = Fields::open("f", &root, "an override").unwrap();
        assert_eq!(fields.text("why"), Some("batch hosts".into()));
        let hint = fields.finish().remove(0).hint;
        assert_eq!(hint, Some("a comma ends a value within {}: quote a text that holds one".into()));
    }

    #[test]
    fn broken_yaml_and_duplicate_keys_are_problems_with_a_place() {
        let broken = parse("f", "a: [1, 2\nb: 3\n").unwrap_err();
        assert!(broken.at.is_some(), "{broken}");
        let twice = parse("f", "a: 1\na: 2\n").unwrap_err();
        assert_eq!(twice.at.map(|m| m.line), Some(2), "{twice}");
    }

    #[test]
    fn an_empty_file_is_nothing() {
        assert_eq!(parse("f", "# only a comment\n").unwrap().value, Value::Null);
    }
}
