//! `disk`: free space under the server's files. Made by the engine, and only where it runs on the server's own host: SQL
//! cannot see a file system. Elsewhere the frame is missing as not applicable, with what to do instead.

use super::build::{frame as describe, gauge, label, text};
use crate::model::{FrameDef, Unit};

/// The frame that the sweep fills in.
#[must_use]
pub fn frame() -> FrameDef {
    describe(
        "disk",
        "One row per file system that holds the server's files; only where pgsteward runs on the same host.",
        &["mount"],
        vec![
            label("mount", "Where the file system is mounted."),
            text("path", "The server's folder on it (data directory, WAL or tablespace)."),
            gauge("bytes", Unit::Bytes, "Size of the file system."),
            gauge("free_bytes", Unit::Bytes, "What an ordinary user can still write."),
            gauge("used_pct", Unit::Percent, "Share in use, as df shows it."),
        ],
    )
}
