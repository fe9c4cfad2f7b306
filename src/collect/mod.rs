//! Collect: a target and its metrics in, a `Snapshot` out; each frame collected or missing with a reason.
//!
//! `dsn` says where and as whom, `tls` how safely, `session` asks, `capability` knows what can be asked, `plan` (pure)
//! what is due and where, `sweep` walks through it, `kept` holds sessions from one sweep to the next, `job` holds the rows of one frame, `cost` says when it is enough,
//! `failure` why something did not come. `target_frame` and `disk` are the frames that no SQL yields. `file` keeps a
//! sample. What is asked stands in the metrics, which are data and passed in.

mod capability;
mod clean;
mod cost;
mod disk;
mod dsn;
mod failure;
mod file;
mod job;
mod kept;
pub mod metrics;
mod plan;
mod row;
mod session;
mod sweep;
mod target_frame;
mod tls;

pub use capability::{Capabilities, DatabaseFacts, ExtensionFacts, RoleFacts, probe};
pub use clean::clean;
pub use dsn::{DsnError, Endpoint, EndpointDefaults, FileError, Surroundings};
pub use failure::ConnectError;
pub use file::{Sample, SampleError, unpack, write_json};
pub use kept::Kept;
pub use sweep::{SweepRequest, sweep};

/// What `application_name` begins with and what stands in a comment before each statement, so that an operator sees whose it is.
pub const MARKER: &str = "pgsteward";

/// Stands in a metric's `grant` for the role, whose name takes its place when the grant is shown as a remedy.
pub const ROLE_IN_GRANT: &str = "the_monitoring_role";

/// What one sweep may cost the server. A timeout of 0 is read as the shortest one, never as none.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// `statement_timeout` in milliseconds; a metric may have a shorter one of its own.
    pub statement_timeout_ms: u64,
    /// `lock_timeout` in milliseconds: how long a statement may stand in a lock queue, where others queue up behind it.
    pub lock_timeout_ms: u64,
    /// How long connecting to one address may take, login included, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Databases that one sweep may enter.
    pub max_databases: usize,
    /// Sessions that may be open on the server, those that rest between sweeps included. When as many hang there from
    /// earlier (in one transaction for more than a minute), nothing is asked.
    pub connections: usize,
    /// Server time that one sweep may use, in milliseconds; 0 is no limit.
    pub server_ms_per_sweep: f64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            statement_timeout_ms: 5000,
            lock_timeout_ms: 100,
            connect_timeout_ms: 5000,
            max_databases: 100,
            connections: 3,
            server_ms_per_sweep: 10_000.0,
        }
    }
}

/// Which databases of a server are entered. Templates never are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Databases {
    /// All.
    #[default]
    All,
    /// All but these.
    AllExcept(Vec<String>),
    /// These.
    Only(Vec<String>),
}

impl Databases {
    /// Whether a database is among them.
    #[must_use]
    pub fn include(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::AllExcept(names) => !names.iter().any(|n| n == name),
            Self::Only(names) => names.iter().any(|n| n == name),
        }
    }
}
