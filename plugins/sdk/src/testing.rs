//! Stands in for the host in native tests, for each thread by itself: keeps the log, and gives texts.
//!
//! Most tests need none of it: a row is a plain struct with a `Default`, and `Label::named("orders")` has its own words.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::host::Level;

thread_local! {
    static LOG: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
    static TEXTS: RefCell<HashMap<(String, u32), String>> = RefCell::new(HashMap::new());
    static NAMED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn log(level: Level, message: &str) {
    LOG.with_borrow_mut(|lines| lines.push((level, message.into())));
}

/// The lines logged on this thread since the last call.
#[must_use]
pub fn logged() -> Vec<(Level, String)> {
    LOG.take()
}

/// Gives a text column a word at a row, as the host would have it.
pub fn set_text(column: &str, row: u32, text: &str) {
    TEXTS.with_borrow_mut(|texts| texts.insert((column.into(), row), text.into()));
}

pub(crate) fn text(column: &str, rows: &[u32]) -> Result<Vec<Option<String>>, String> {
    if column.is_empty() {
        return Ok(NAMED.with_borrow(|named| rows.iter().map(|row| named.get(*row as usize).cloned()).collect()));
    }
    Ok(TEXTS.with_borrow(|texts| rows.iter().map(|row| texts.get(&(column.to_string(), *row)).cloned()).collect()))
}

/// The number of a text that a test made up; equal for equal texts.
pub(crate) fn named(text: &str) -> u32 {
    NAMED.with_borrow_mut(|named| {
        let at = named.iter().position(|known| known == text).unwrap_or(named.len());
        if at == named.len() {
            named.push(text.into());
        }
        at as u32
    })
}
