//! What a metric is: one frame, the SQL that yields it by server version, and what it needs, costs and how often it is due.
//!
//! Data, not code: shipped metrics stand one in a file in `metrics/`, and a rule file may bring its own (see `rules`). How a
//! metric is run, and what becomes of an answer that does not come, is `collect`'s.

use super::FrameDef;

/// Where a metric's SQL runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Once, in whichever database the session is connected to.
    Instance,
    /// Once in every database of the target that may be connected to; the host adds the label column `database` if the
    /// frame describes one that the SQL does not return.
    EachDatabase,
    /// Once in each of these databases (custom metrics).
    Databases(Vec<String>),
}

/// On which servers a metric makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// On any.
    Any,
    /// Only on a primary.
    Primary,
    /// Only on a standby.
    Standby,
}

/// How much one reading costs the server, in orders of magnitude on 10,000 tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CostClass {
    /// Under a millisecond.
    Cheap,
    /// Some milliseconds, growing with the number of objects.
    Moderate,
    /// Tens of milliseconds or file-system work.
    Heavy,
}

/// What a metric needs beyond a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// An extension of at least that version in some database of the target; the SQL runs in that database, and
    /// `{extension_schema}` in it is replaced by the quoted schema of the extension.
    Extension {
        /// Name.
        name: String,
        /// Smallest `extversion`, for example `1.8`.
        min_version: String,
    },
}

/// How one frame is collected.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// The frame it yields. The SQL returns columns by these names: text for labels and texts, float8 for gauges and
    /// times (seconds since the epoch), int8 for counters, bool for flags. A described column that the SQL of a version
    /// does not return is unknown in every row.
    pub frame: FrameDef,
    /// Where it runs.
    pub scope: Scope,
    /// On which servers.
    pub role: Role,
    /// How often it is due, in seconds; 0 at every tick.
    pub every_s: u64,
    /// `statement_timeout` of its own in milliseconds, never longer than the budget's.
    pub timeout_ms: Option<u64>,
    /// Order of magnitude of its cost.
    pub cost: CostClass,
    /// What it needs.
    pub needs: Vec<Need>,
    /// The GRANT that lets a role without it run the SQL, where `pg_monitor` is not enough; shown when access is denied.
    pub grant: String,
    /// When the SQL stops at N rows by some rank: that N. The frame's coverage says so when N rows came.
    pub top: Option<u64>,
    /// SQL by smallest `server_version_num` (for example 140000), ascending; the last that fits is used, none that fits
    /// means that the version does not have the source.
    pub sql: Vec<(u32, String)>,
}

impl Metric {
    /// The SQL for a server version; `None` when the version does not have the source.
    #[must_use]
    pub fn sql_for(&self, version_num: u32) -> Option<&str> {
        self.sql.iter().rev().find(|(from, _)| *from <= version_num).map(|(_, sql)| sql.as_str())
    }
}
