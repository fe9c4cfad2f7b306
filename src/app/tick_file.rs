//! Tick files on disk: JSON, packed when the name ends in `.gz`.

use std::path::Path;

use anyhow::Context;

use crate::collect::{unpack, write_json};
use crate::model::Tick;

/// Writes a tick in one step.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, tick: &Tick) -> anyhow::Result<()> {
    write_json(path, tick).with_context(|| format!("tick file `{}` cannot be written", path.display()))
}

/// Reads a tick.
///
/// # Errors
/// When the file cannot be read, is too large, or is not a tick file.
pub fn read(path: &Path) -> anyhow::Result<Tick> {
    let name = path.display();
    let text = unpack(path).with_context(|| format!("tick file `{name}` cannot be read"))?;
    let text = text.with_context(|| format!("tick file `{name}` is too large"))?;
    serde_json::from_slice(&text).with_context(|| format!("`{name}` is not a tick file"))
}
