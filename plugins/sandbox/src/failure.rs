//! Why a call did not come to an end, in words for a person, with the limit's name where it was a limit.

use std::fmt;

use crate::words::one_line;

/// What ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// A limit of `Limits`, by its name.
    Limit(&'static str),
    /// The engine's stack.
    Stack,
    /// The plugin broke off by itself: a panic, an `unreachable`, an access outside its memory.
    Trap,
    /// The plugin said that it cannot judge.
    Refused,
    /// What it answered, or gave to a function of the host, is not of the contract's types: invalid UTF-8, a pointer outside
    /// its memory, a value that its type does not have.
    Answer,
    /// The machine has no room for another instance now.
    Busy,
}

/// A call that did not come to an end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What ended it.
    pub kind: FailureKind,
    /// One line for a person.
    pub message: String,
}

impl Failure {
    /// Whether the same call ends the same way on every machine.
    #[must_use]
    pub fn is_reproducible(&self) -> bool {
        !matches!(self.kind, FailureKind::Limit("wall_ms") | FailureKind::Busy)
    }

    /// A limit was reached.
    #[must_use]
    pub fn limit(name: &'static str, most: u64) -> Self {
        Self { kind: FailureKind::Limit(name), message: format!("it wanted more than its limit `{name}` of {most} allows") }
    }
}

/// The error by which a host function or the store's limiter ends a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    pub(crate) name: &'static str,
    pub(crate) most: u64,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit `{}` of {}", self.name, self.most)
    }
}

impl std::error::Error for Hit {}

impl From<Hit> for Failure {
    fn from(hit: Hit) -> Self {
        Self::limit(hit.name, hit.most)
    }
}

/// Reads what wasmtime says.
pub(crate) fn classify(error: &wasmtime::Error, limits: &crate::Limits, last_words: Option<&str>) -> Failure {
    if let Some(hit) = error.downcast_ref::<Hit>() {
        return (*hit).into();
    }
    if let Some(trap) = error.downcast_ref::<wasmtime::Trap>() {
        return match trap {
            wasmtime::Trap::OutOfFuel => Failure::limit("fuel", limits.fuel),
            wasmtime::Trap::Interrupt => Failure::limit("wall_ms", limits.wall_ms),
            wasmtime::Trap::StackOverflow => {
                Failure { kind: FailureKind::Stack, message: "its calls nest too deeply: the stack is used up".into() }
            }
            other => broke_off(&other.to_string(), last_words),
        };
    }
    let said = format!("{error:#}");
    let counts = [("instance count too high", "instances", limits.instances), ("memory count too high", "memories", limits.memories)];
    if let Some((_, name, most)) = counts.iter().find(|(words, ..)| said.contains(words)) {
        return Failure::limit(name, *most);
    }
    if said.contains("table count too high") {
        return Failure::limit("memories", limits.memories);
    }
    if said.contains("too much data is being copied") {
        return Failure::limit("crossing_bytes", limits.crossing_bytes);
    }
    if said.contains("maximum concurrent") {
        return Failure { kind: FailureKind::Busy, message: format!("no room for another instance now: {said}") };
    }
    if said.contains("cannot allocate another handle") {
        return broke_off("it made too many resources", last_words);
    }
    Failure { kind: FailureKind::Answer, message: one_line(&format!("what it handed over cannot be read: {said}")) }
}

fn broke_off(trap: &str, last_words: Option<&str>) -> Failure {
    let trap = trap.trim_start_matches("wasm trap: ");
    let message = match last_words {
        Some(words) => format!("it broke off: {} ({trap})", one_line(words)),
        None => format!("it broke off: {trap}"),
    };
    Failure { kind: FailureKind::Trap, message }
}
