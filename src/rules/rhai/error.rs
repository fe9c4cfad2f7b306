//! From the engine's errors to one short sentence with a place and, where there is a better way, a hint.

use rhai::{Dynamic, EvalAltResult, ParseError, ParseErrorType, Position};

use crate::problem::{Mark, Problem};

/// What went wrong in a native function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The script is wrong.
    Wrong(String),
    /// A limit is reached; `try` cannot catch it.
    Stop(String),
}

impl Trouble {
    /// The sentence.
    pub(super) fn message(self) -> String {
        match self {
            Self::Wrong(message) | Self::Stop(message) => message,
        }
    }
}

/// What a native function answers.
pub(super) type Answer<T = Dynamic> = Result<T, Trouble>;

/// The script is wrong, as an answer.
pub(super) fn wrong<T>(message: impl Into<String>) -> Answer<T> {
    Err(Trouble::Wrong(message.into()))
}

impl From<Trouble> for Box<EvalAltResult> {
    fn from(trouble: Trouble) -> Self {
        Box::new(match trouble {
            Trouble::Wrong(message) => EvalAltResult::ErrorRuntime(message.into(), Position::NONE),
            Trouble::Stop(message) => EvalAltResult::ErrorTerminated(message.into(), Position::NONE),
        })
    }
}

/// Where a source begins in its file, so that positions in it can be told as positions in the file.
#[derive(Debug, Clone)]
pub(in crate::rules) struct Place {
    /// The file as the person named it.
    pub(in crate::rules) file: String,
    /// Where the source begins.
    pub(in crate::rules) at: Mark,
}

impl Place {
    /// A position in the source as one in the file.
    pub(in crate::rules) fn in_file(&self, at: Mark) -> Mark {
        let column = if at.line == 1 { self.at.column + at.column - 1 } else { at.column };
        Mark { line: self.at.line + at.line - 1, column }
    }

    /// A problem at a position in the source, or at its beginning.
    pub(in crate::rules) fn problem(&self, at: Option<Mark>, message: impl Into<String>) -> Problem {
        let message = message.into();
        let at = at.map_or(self.at, |at| self.in_file(at));
        match message.split_once("; ") {
            Some((fact, hint)) => Problem::error(self.file.as_str(), at, fact).hint(hint),
            None => Problem::error(self.file.as_str(), at, message),
        }
    }

    /// The message of a failed evaluation: what, and where in the file.
    pub(super) fn tell(&self, error: &Located) -> String {
        let at = error.at.map_or(self.at, |at| self.in_file(at));
        format!("{} ({}:{}:{})", error.message, self.file, at.line, at.column)
    }
}

/// A message and where in the source it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) message: String,
    pub(super) at: Option<Mark>,
}

/// The place as a mark; `None` when the engine does not know it.
pub(super) fn mark(position: Position) -> Option<Mark> {
    Some(Mark { line: position.line()? as u32, column: position.position().unwrap_or(1) as u32 })
}

/// An error of a run.
pub(super) fn of_run(error: &EvalAltResult) -> Located {
    if let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) = error {
        return of_run(inner);
    }
    Located { message: run_message(error), at: mark(error.position()) }
}

fn run_message(error: &EvalAltResult) -> String {
    use EvalAltResult as E;
    match error {
        E::ErrorRuntime(token, _) | E::ErrorTerminated(token, _) => token.to_string(),
        E::ErrorMismatchDataType(wanted, found, _) => mismatch(wanted, found),
        E::ErrorTooManyOperations(_) => "stopped after too many operations".into(),
        E::ErrorStackOverflow(_) => "functions call each other too deeply".into(),
        E::ErrorTooManyVariables(_) => "too many variables".into(),
        E::ErrorDataTooLarge(what, _) => format!("too large: {}", what.to_lowercase()),
        E::ErrorVariableNotFound(name, _) => format!("unknown name `{name}`"),
        E::ErrorFunctionNotFound(call, _) => format!("no function takes `{call}`"),
        E::ErrorFor(_) => "`for` needs a list, a range or `frame.rows(mask)`".into(),
        E::ErrorDotExpr(message, _) if message.contains("'()'") => "this is unknown (NULL): write `x?.name`, or `x ?? value`".into(),
        E::ErrorIndexingType(name, _) => format!("{name} cannot be indexed that way"),
        other => first_lower(&without_place(&other.to_string())),
    }
}

fn mismatch(wanted: &str, found: &str) -> String {
    let (wanted, found) = (last_segment(wanted), last_segment(found));
    let hint = match (wanted, found) {
        ("bool", "Mask") => "; join masks with `and` or `or`, or ask `any(mask)`",
        ("bool", "Column") => "; compare the column first, then ask `any(..)`",
        ("bool", "()") => "; write `x ?? false`, or ask `is_null(x)`",
        _ => "",
    };
    let (wanted, found) = (shown_type(wanted), shown_type(found));
    format!("this needs {wanted} and is {found}{hint}")
}

/// Custom types come with their path.
fn last_segment(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

fn shown_type(name: &str) -> &str {
    match name {
        "bool" => "one true or false",
        "()" => "unknown (NULL)",
        "i64" | "f64" => "a number",
        "string" => "text",
        "array" => "a list",
        "map" => "a map",
        "Mask" => "a mask",
        "Column" => "a column",
        "Texts" => "a text column",
        "Row" => "a row",
        "FrameValue" => "a frame",
        other => other,
    }
}

/// An error of compiling.
pub(super) fn of_parse(error: &ParseError) -> Located {
    let message = match &*error.0 {
        ParseErrorType::VariableUndefined(name) => format!("unknown name `{name}`"),
        ParseErrorType::Reserved(name) => format!("`{name}` is a reserved word"),
        ParseErrorType::ExprTooDeep => "the expression is nested too deeply".into(),
        other => first_lower(&without_place(&other.to_string())),
    };
    Located { message, at: mark(error.1) }
}

/// The name that a compile error says is not known.
pub(super) fn unknown_name(error: &ParseError) -> Option<&str> {
    match &*error.0 {
        ParseErrorType::VariableUndefined(name) => Some(name),
        _ => None,
    }
}

fn without_place(message: &str) -> String {
    message.split(" (line ").next().unwrap_or(message).replace('\'', "`")
}

fn first_lower(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
