//! The store of one call: what the plugin may use, counted as it uses it, and what it said.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use crate::failure::Hit;
use crate::{Limits, Use};

/// A line that a plugin logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How important: `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// What it said; hostile text.
    pub message: String,
}

/// Where a plugin's questions for texts are answered.
pub trait Texts: Send + Sync {
    /// The texts of a column for these rows, of which there are a few at a time: one each, in their order.
    ///
    /// # Errors
    /// When the column is none that the rule reads, or a row is not there.
    fn text(&self, column: &str, rows: &[u32]) -> Result<Vec<Option<String>>, String>;
}

/// For calls in which there is nothing to read.
#[derive(Debug, Clone, Copy)]
pub struct NoTexts;

impl Texts for NoTexts {
    fn text(&self, column: &str, _: &[u32]) -> Result<Vec<Option<String>>, String> {
        Err(format!("`{column}` cannot be read now"))
    }
}

/// Data of a store.
pub(crate) struct State {
    pub(crate) limits: Limits,
    pub(crate) used: Use,
    pub(crate) log: Vec<LogLine>,
    pub(crate) texts: Arc<dyn Texts>,
}

impl State {
    pub(crate) fn new(limits: Limits, texts: Arc<dyn Texts>) -> Self {
        Self { limits, used: Use::default(), log: Vec::new(), texts }
    }

    /// Counts a call of the host.
    pub(crate) fn called(&mut self) -> Result<(), Hit> {
        add(&mut self.used.host_calls, 1, "host_calls", self.limits.host_calls)
    }

    /// Counts and keeps a line of log.
    pub(crate) fn log(&mut self, level: &'static str, message: String) -> Result<(), Hit> {
        self.called()?;
        // Even an empty line costs something, or there is no end to them.
        add(&mut self.used.log_bytes, message.len() as u64 + 16, "log_bytes", self.limits.log_bytes)?;
        self.log.push(LogLine { level, message });
        Ok(())
    }

    /// Reads texts, a few rows at a time, so that what is too much is noticed before it is all there.
    pub(crate) fn ask(&mut self, column: &str, rows: &[u32]) -> Result<Result<Vec<Option<String>>, String>, Hit> {
        const AT_ONCE: usize = 64;
        self.called()?;
        self.asked((column.len() + size_of_val(rows)) as u64)?;
        let mut answer = Vec::new();
        for rows in rows.chunks(AT_ONCE) {
            let texts = match self.texts.text(column, rows) {
                Ok(texts) => texts,
                Err(message) => return Ok(Err(message)),
            };
            self.asked(texts.iter().map(|text| text.as_ref().map_or(8, |text| text.len() as u64 + 8)).sum())?;
            answer.extend(texts);
        }
        Ok(Ok(answer))
    }

    fn asked(&mut self, bytes: u64) -> Result<(), Hit> {
        add(&mut self.used.asked_bytes, bytes, "asked_bytes", self.limits.asked_bytes)
    }

    /// The last error that it logged: a panic's message, as a rule.
    pub(crate) fn last_words(&self) -> Option<&str> {
        self.log.iter().rev().find(|line| line.level == "error").map(|line| line.message.as_str())
    }
}

/// Adds to what is used; what would pass the limit uses it up.
pub(crate) fn add(used: &mut u64, more: u64, name: &'static str, most: u64) -> Result<(), Hit> {
    let wanted = used.saturating_add(more);
    *used = wanted.min(most);
    if wanted > most { Err(Hit { name, most }) } else { Ok(()) }
}

/// wasmtime asks of each memory and table by itself; what is limited is their sum. It also asks of growth that cannot be,
/// beyond what the memory declares as its most: that is answered to the plugin and costs nothing.
impl ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, most: Option<usize>) -> wasmtime::Result<bool> {
        if most.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current) as u64;
        add(&mut self.used.memory_bytes, more, "memory_bytes", self.limits.memory_bytes).map_err(wasmtime::Error::new)?;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, most: Option<usize>) -> wasmtime::Result<bool> {
        if most.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current) as u64;
        add(&mut self.used.table_elements, more, "table_elements", self.limits.table_elements).map_err(wasmtime::Error::new)?;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances as usize
    }

    fn memories(&self) -> usize {
        self.limits.memories as usize
    }

    fn tables(&self) -> usize {
        self.limits.memories as usize
    }
}
