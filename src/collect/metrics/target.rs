//! `target`: whether the server answers at all. Made by the engine at every tick, never by SQL, so that "down" is a rule
//! like any other. Login refused and too many clients are told apart from down: each is somebody else's to mend.

use super::build::{flag, frame as describe, gauge, text};
use crate::model::{FrameDef, Unit};

/// The frame that the sweep fills in.
#[must_use]
pub fn frame() -> FrameDef {
    describe(
        "target",
        "One row: whether the server can be reached and logged in to. Made by the engine itself, at every tick.",
        &[],
        vec![
            flag("reachable", "Whether a session could be opened."),
            flag("login_refused", "The server answers, but refuses the login (password, pg_hba.conf, role, database)."),
            flag("too_many_clients", "The server answers, but has no connection slot left."),
            text("error", "Why it could not be reached; unknown when it could."),
            gauge("latency_ms", Unit::Millis, "Time of one empty query, there and back."),
            gauge("clock_skew", Unit::Seconds, "Server's clock minus ours; unknown when not measured."),
        ],
    )
}
