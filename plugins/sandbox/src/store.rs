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
    /// The texts of a column for these rows.
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
    memory_bytes: u64,
    table_elements: u64,
    pub(crate) log: Vec<LogLine>,
    pub(crate) texts: Arc<dyn Texts>,
}

impl State {
    pub(crate) fn new(limits: Limits, texts: Arc<dyn Texts>) -> Self {
        Self { limits, used: Use::default(), memory_bytes: 0, table_elements: 0, log: Vec::new(), texts }
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

    /// Counts texts that cross to the plugin.
    pub(crate) fn asked(&mut self, texts: &[Option<String>]) -> Result<(), Hit> {
        let bytes = texts.iter().map(|text| text.as_ref().map_or(8, |text| text.len() as u64 + 8)).sum();
        add(&mut self.used.asked_bytes, bytes, "asked_bytes", self.limits.asked_bytes)
    }

    /// The last error that it logged: a panic's message, as a rule.
    pub(crate) fn last_words(&self) -> Option<&str> {
        self.log.iter().rev().find(|line| line.level == "error").map(|line| line.message.as_str())
    }
}

fn add(used: &mut u64, more: u64, name: &'static str, most: u64) -> Result<(), Hit> {
    *used = used.saturating_add(more);
    if *used > most { Err(Hit { name, most }) } else { Ok(()) }
}

/// wasmtime asks of each memory and table by itself; what is limited is their sum.
impl ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current) as u64;
        add(&mut self.memory_bytes, more, "memory_bytes", self.limits.memory_bytes).map_err(wasmtime::Error::new)?;
        self.used.memory_bytes = self.used.memory_bytes.max(self.memory_bytes);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current) as u64;
        add(&mut self.table_elements, more, "table_elements", self.limits.table_elements).map_err(wasmtime::Error::new)?;
        self.used.table_elements = self.used.table_elements.max(self.table_elements);
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
