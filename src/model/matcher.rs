//! Matchers: conditions on labels, for routes, windows, silences, inhibition and overrides.
//!
//! A label that is not there equals an empty one. A name may stand for several values at once (`tier` is the rule's and
//! often a label of the target too): `=` and `=~` ask for any of them, `!=` and `!~` forbid all. Patterns are anchored at
//! both ends. The text form is Alertmanager's, with two additions: `severity>=warning` and `tier=(prod|stage)`.

use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::{Labels, Severity};

/// Largest compiled pattern in bytes; a larger one is refused.
const PATTERN_BYTES: usize = 64 * 1024;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Equals any of the values.
    #[serde(rename = "=")]
    Is,
    /// Equals none of the values.
    #[serde(rename = "!=")]
    IsNot,
    /// The whole of it is matched by any of the patterns.
    #[serde(rename = "=~")]
    Like,
    /// The whole of it is matched by none of the patterns.
    #[serde(rename = "!~")]
    NotLike,
    /// At least that severe; for `severity` only.
    #[serde(rename = ">=")]
    AtLeast,
}

impl Op {
    /// All, longest sign first, as a reader tries them.
    pub const ALL: [Self; 5] = [Self::IsNot, Self::Like, Self::NotLike, Self::AtLeast, Self::Is];

    /// The sign.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Is => "=",
            Self::IsNot => "!=",
            Self::Like => "=~",
            Self::NotLike => "!~",
            Self::AtLeast => ">=",
        }
    }
}

/// One condition.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Matcher {
    written: Written,
    patterns: Vec<Regex>,
    least: Option<Severity>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    name: String,
    op: Op,
    values: Vec<String>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Matcher {}

impl From<Matcher> for Written {
    fn from(matcher: Matcher) -> Self {
        matcher.written
    }
}

impl TryFrom<Written> for Matcher {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Self::new(written.name, written.op, written.values)
    }
}

impl Matcher {
    /// A condition on the label `name`; several values mean any of them.
    ///
    /// # Errors
    /// What is wrong, in one fragment: no value, a pattern that cannot be read or is too large, `>=` on another label than
    /// `severity` or with another word than a severity.
    pub fn new(name: impl Into<String>, op: Op, values: Vec<String>) -> Result<Self, String> {
        let written = Written { name: name.into(), op, values };
        if written.name.is_empty() {
            return Err("a matcher needs the name of a label".into());
        }
        let Some(first) = written.values.first() else { return Err(format!("`{}` is matched against nothing", written.name)) };
        let patterns = match op {
            Op::Like | Op::NotLike => written.values.iter().map(|text| pattern(text)).collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        let least = match op {
            Op::AtLeast if written.name == "severity" => {
                Some(first.parse::<Severity>().map_err(|_| format!("there is no severity `{first}`"))?)
            }
            Op::AtLeast => return Err(format!("`>=` compares severities; `{}` has no order", written.name)),
            _ => None,
        };
        Ok(Self { written, patterns, least })
    }

    /// Equals any of the values.
    #[must_use]
    pub fn is(name: impl Into<String>, values: Vec<String>) -> Self {
        Self { written: Written { name: name.into(), op: Op::Is, values }, patterns: Vec::new(), least: None }
    }

    /// The label it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.written.name
    }

    /// How it compares.
    #[must_use]
    pub fn op(&self) -> Op {
        self.written.op
    }

    /// What it compares with.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.written.values
    }

    /// Whether the label has what is asked for; `found` are all its values, those that are not there as `None`.
    #[must_use]
    pub fn matches(&self, found: &[Option<&str>]) -> bool {
        let mut present = found.iter().flatten().copied().peekable();
        if present.peek().is_none() {
            return self.holds(std::iter::once(""));
        }
        self.holds(present)
    }

    fn holds<'a>(&self, mut found: impl Iterator<Item = &'a str>) -> bool {
        match self.written.op {
            Op::Is => found.any(|value| self.written.values.iter().any(|v| v == value)),
            Op::IsNot => !found.any(|value| self.written.values.iter().any(|v| v == value)),
            Op::Like => found.any(|value| self.patterns.iter().any(|p| p.is_match(value))),
            Op::NotLike => !found.any(|value| self.patterns.iter().any(|p| p.is_match(value))),
            Op::AtLeast => found.any(|value| value.parse::<Severity>().ok() >= self.least),
        }
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    let whole = format!("^(?:{text})$");
    RegexBuilder::new(&whole)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES)
        .build()
        .map_err(|_| format!("`{text}` is not a pattern that can be used"))
}

/// The text form, which `FromStr` reads again.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.written.name, self.written.op.as_str())?;
        match self.written.values.as_slice() {
            [one] => f.write_str(&quoted(one)),
            several => write!(f, "({})", several.iter().map(|v| quoted(v)).collect::<Vec<_>>().join("|")),
        }
    }
}

/// Bare when nothing in it could be taken for a sign.
fn quoted(value: &str) -> String {
    let bare = !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "_-.:/@#*+".contains(c));
    if bare { value.into() } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) }
}

impl FromStr for Matcher {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text.trim() };
        let matcher = reader.matcher()?;
        if reader.rest.trim().is_empty() { Ok(matcher) } else { Err(format!("`{}` is too much after `{matcher}`", reader.rest.trim())) }
    }
}

/// Conditions that must all hold; none match everything.
///
/// Beside an alert's own labels the names `severity`, `rule`, `target`, `tier`, `category` and `cluster` match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Matchers(pub Vec<Matcher>);

impl Matchers {
    /// Whether these labels meet all conditions.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(&[labels.get(matcher.name())]))
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(Matcher::to_string).collect();
        f.write_str(&all.join(","))
    }
}

/// `tier=prod,severity>=warning`, with or without braces around it, as `amtool` takes it.
impl FromStr for Matchers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        let mut reader = Reader { rest: inner.trim() };
        let mut all = Vec::new();
        while !reader.rest.is_empty() {
            all.push(reader.matcher()?);
            reader.rest = reader.rest.trim_start();
            if reader.rest.is_empty() {
                break;
            }
            reader.rest = reader.rest.strip_prefix(',').ok_or_else(|| format!("a comma is missing before `{}`", reader.rest))?.trim_start();
        }
        Ok(Self(all))
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn matcher(&mut self) -> Result<Matcher, String> {
        let end = self.rest.find(['=', '!', '>']).ok_or_else(|| format!("`{}` is no matcher; write NAME=VALUE", self.rest))?;
        let (name, rest) = self.rest.split_at(end);
        let op = Op::ALL.into_iter().find(|op| rest.starts_with(op.as_str()));
        let op = op.ok_or_else(|| format!("`{rest}` begins with no comparison; there are =, !=, =~, !~ and >="))?;
        self.rest = rest.get(op.as_str().len()..).unwrap_or_default().trim_start();
        let values = self.values()?;
        Matcher::new(name.trim(), op, values)
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        let Some(rest) = self.rest.strip_prefix('(') else { return Ok(vec![self.value()?]) };
        self.rest = rest.trim_start();
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                return Ok(values);
            }
            self.rest = self.rest.strip_prefix('|').ok_or("a list of values ends with `)`")?.trim_start();
        }
    }

    fn value(&mut self) -> Result<String, String> {
        if let Some(rest) = self.rest.strip_prefix('"') {
            return self.quoted(rest);
        }
        // A bare value ends where the next matcher, or the end of a list, begins.
        let end = self.rest.find([',', '|', ')']).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(value.trim_end().into())
    }

    fn quoted(&mut self, rest: &str) -> Result<String, String> {
        let mut value = String::new();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = self.rest.get(at + 2..).unwrap_or_default();
                    return Ok(value);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('"' | '\\'))) => value.push(c),
                    // A backslash before anything else is a pattern's own.
                    Some((_, c)) => value.extend(['\\', c]),
                    None => break,
                },
                c => value.push(c),
            }
        }
        Err("a quote is not closed".into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    fn matchers(text: &str) -> Matchers {
        text.parse().unwrap()
    }

    #[test]
    fn all_conditions_must_hold_and_patterns_are_anchored() {
        let orders = labels(&[("table", "orders_2026"), ("severity", "warning")]);
        for (text, holds) in [
            ("table=orders_2026", true),
            ("table=orders", false),
            (r#"table=~"orders_\d+""#, true),
            (r#"table=~"orders""#, false),
            (r#"table!~"tmp.*",severity>=warning"#, true),
            ("severity>=critical", false),
            ("severity>=info, table!=carts", true),
            ("table=(carts|orders_2026)", true),
            ("table!=(carts|orders_2026)", false),
            ("{team=\"\"}", true),
            ("team!=\"\"", false),
            (r#"team=~"a|""#, true),
            ("", true),
        ] {
            assert_eq!(matchers(text).matches(&orders), holds, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        for (text, why) in [
            ("table", "`table` is no matcher; write NAME=VALUE"),
            ("=x", "a matcher needs the name of a label"),
            ("a=~\"(\"", "`(` is not a pattern that can be used"),
            ("a=~\"(a{1000}){1000}\"", "`(a{1000}){1000}` is not a pattern that can be used"),
            ("tier>=prod", "`>=` compares severities; `tier` has no order"),
            ("severity>=bad", "there is no severity `bad`"),
            ("a=\"b", "a quote is not closed"),
            ("a=(b", "a list of values ends with `)`"),
            ("a=\"b\" c=d", "a comma is missing before `c=d`"),
            ("a>b", "`>b` begins with no comparison; there are =, !=, =~, !~ and >="),
        ] {
            assert_eq!(text.parse::<Matchers>().unwrap_err(), why, "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_json_read_back_as_they_were(name in "[a-z_]{1,8}", values in prop::collection::vec("\\PC{0,12}", 1..4), negated: bool) {
            let op = if negated { Op::IsNot } else { Op::Is };
            let matcher = Matcher::new(name, op, values).unwrap();
            prop_assert_eq!(&matcher.to_string().parse::<Matcher>().unwrap(), &matcher);
            let json = serde_json::to_string(&matcher).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Matcher>(&json).unwrap(), &matcher);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _read = text.parse::<Matchers>();
        }
    }
}
