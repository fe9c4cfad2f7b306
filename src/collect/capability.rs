//! What a server is, what the role may see, and so which metrics can run; each that cannot has its reason and remedy.
//!
//! Features are probed where they show themselves (the extension's own version, the role's memberships); the version number
//! only chooses the SQL. A version that this build does not know is read with the nearest SQL, and `notes` says so.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_postgres::Row;

use super::cost::Meter;
use super::failure::{ConnectError, Failure};
use super::session::Session;
use super::{Budget, Endpoint};
use crate::model::action::quote::ident;
use crate::model::{Metric, Missing, MissingReason, Need, Role, Server};

/// Versions that the shipped SQL is tested on.
const TESTED: std::ops::RangeInclusive<u32> = 13..=19;

/// Extensions whose library must be loaded when the server starts.
const NEED_PRELOAD: [&str; 4] = ["pg_stat_statements", "pg_stat_kcache", "pg_qualstats", "pg_wait_sampling"];

/// Our transactions that are this much older than a statement may be, in seconds, hang: each is one short question.
const HUNG_AFTER_S: u64 = 60;

/// What the role that logged in may see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleFacts {
    /// Name.
    pub name: String,
    /// Sees everything, and is not held back by a CONNECTION LIMIT: more than a monitor should be.
    pub superuser: bool,
    /// Member of `pg_monitor`.
    pub monitor: bool,
    /// Sees others' statements and sizes.
    pub read_all_stats: bool,
    /// Sees settings such as file locations.
    pub read_all_settings: bool,
    /// Sees statistics of columns (14+), which estimates of bloat need.
    pub read_all_data: bool,
}

/// An extension in one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionFacts {
    /// Name.
    pub name: String,
    /// `extversion`, which can lag behind the server after an upgrade.
    pub version: String,
    /// Schema of its functions.
    pub schema: String,
    /// Whether the role may use that schema.
    pub usable: bool,
}

/// One database of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// Name.
    pub name: String,
    /// Why it cannot be entered; `None` when it can.
    pub closed: Option<String>,
    /// What is installed in it; `None` when nobody has looked.
    pub extensions: Option<Vec<ExtensionFacts>>,
}

/// All that decides which metrics can run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Capabilities {
    /// What the server says of itself.
    pub server: Server,
    /// Who logged in.
    pub role: RoleFacts,
    /// The database of the session.
    pub database: String,
    /// `shared_preload_libraries`; `None` when the role may not read it.
    pub preloaded: Option<Vec<String>>,
    /// All databases but templates, in the order of their making.
    pub databases: Vec<DatabaseFacts>,
    /// Other sessions of the same role and `application_name` whose question has been running for minutes.
    pub hung_sessions: usize,
    /// Server's clock minus ours, in seconds.
    pub clock_skew_s: f64,
    /// Time that one small question took, in milliseconds.
    pub latency_ms: f64,
}

/// Who, where and since when. Only what every role may ask, so that it never fails for a grant.
const FACTS: &str = "
SELECT current_setting('server_version_num')::int4 AS version_num,
       current_setting('server_version') AS version,
       pg_is_in_recovery() AS in_recovery,
       extract(epoch FROM pg_postmaster_start_time())::float8 AS started_at,
       extract(epoch FROM clock_timestamp())::float8 AS clock,
       current_database()::text AS database,
       current_user::text AS role,
       r.rolsuper AS superuser,
       (SELECT array_agg(m.rolname::text) FROM pg_roles m
         WHERE m.rolname IN ('pg_monitor', 'pg_read_all_stats', 'pg_read_all_settings', 'pg_read_all_data')
           AND pg_has_role(r.oid, m.oid, 'USAGE')) AS member_of,
       (SELECT count(*)::int4 FROM pg_stat_activity a
         WHERE a.usename = current_user AND a.application_name = current_setting('application_name') AND a.pid <> pg_backend_pid()
           AND a.xact_start < now() - make_interval(secs => {hung_after})) AS hung_sessions
  FROM pg_roles r WHERE r.rolname = current_user";

/// Which life of the server counters belong to. Apart, because a managed service may refuse it.
const LIFE: &str = "
SELECT s.system_identifier::text AS system_identifier,
       c.timeline_id::int8 AS checkpoint_timeline
  FROM pg_control_system() s, pg_control_checkpoint() c";

/// The timeline now: after a promotion the control file tells the old one until the next checkpoint.
const TIMELINE: &str = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int8 AS timeline";

const PRELOADED: &str = "SELECT current_setting('shared_preload_libraries') AS libraries";

const DATABASES: &str = "
SELECT datname::text AS name, datallowconn AS open, has_database_privilege(oid, 'CONNECT') AS may_connect
  FROM pg_database WHERE NOT datistemplate ORDER BY oid";

const EXTENSIONS: &str = "
SELECT e.extname::text AS name, e.extversion AS version, n.nspname::text AS schema,
       has_schema_privilege(n.oid, 'USAGE') AS usable
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 1";

impl Capabilities {
    /// Asks a session. Extensions are looked up per database, by `extensions`.
    ///
    /// # Errors
    /// When the server does not even answer what every role may ask.
    pub(super) async fn ask(session: &Session, meter: &mut Meter, now: DateTime<Utc>, since: Instant) -> Result<Self, Failure> {
        let hung_after = HUNG_AFTER_S + session.statement_timeout(None) / 1000;
        let before = since.elapsed();
        let rows = session.ask_all(meter, &FACTS.replace("{hung_after}", &hung_after.to_string())).await?;
        let after = since.elapsed();
        let row = rows.first().ok_or_else(|| Failure::Answer("the server does not know the role that it let in".into()))?;
        let mut found = Self::of(row)?;
        found.latency_ms = (after - before).as_secs_f64() * 1000.0;
        // BEGIN and the limits take a first round trip, the question the second: the server read its clock in the middle of that.
        let asked_at: Duration = before + (after - before).mul_f64(0.75);
        let ours = now.timestamp_millis() as f64 / 1000.0 + asked_at.as_secs_f64();
        found.clock_skew_s = get::<f64>(row, "clock")? - ours;
        found.ask_more(session, meter).await?;
        Ok(found)
    }

    fn of(row: &Row) -> Result<Self, Failure> {
        let member_of: Vec<String> = get::<Option<Vec<String>>>(row, "member_of")?.unwrap_or_default();
        let member = |name: &str| member_of.iter().any(|m| m == name);
        Ok(Self {
            server: Server {
                version_num: u32::try_from(get::<i32>(row, "version_num")?).unwrap_or_default(),
                version: super::clean(&get::<String>(row, "version")?),
                started_at: get(row, "started_at")?,
                in_recovery: get(row, "in_recovery")?,
                ..Server::default()
            },
            role: RoleFacts {
                name: get(row, "role")?,
                superuser: get(row, "superuser")?,
                monitor: member("pg_monitor"),
                read_all_stats: member("pg_read_all_stats"),
                read_all_settings: member("pg_read_all_settings"),
                read_all_data: member("pg_read_all_data"),
            },
            database: get(row, "database")?,
            hung_sessions: usize::try_from(get::<i32>(row, "hung_sessions")?).unwrap_or_default(),
            ..Self::default()
        })
    }

    /// What some roles or services may not ask: its absence is a fact, not a failure, unless the connection is gone.
    async fn ask_more(&mut self, session: &Session, meter: &mut Meter) -> Result<(), Failure> {
        if let Some(row) = first(session, meter, LIFE).await? {
            self.server.system_identifier = get(&row, "system_identifier")?;
            self.server.timeline = get(&row, "checkpoint_timeline")?;
        }
        if self.server.in_recovery == Some(false)
            && let Some(row) = first(session, meter, TIMELINE).await?
        {
            self.server.timeline = get(&row, "timeline")?;
        }
        if (self.role.superuser || self.role.read_all_settings)
            && let Some(row) = first(session, meter, PRELOADED).await?
        {
            let libraries: String = get(&row, "libraries")?;
            self.preloaded = Some(libraries.split(',').map(|name| name.trim().trim_matches('"').to_string()).collect());
        }
        for row in session.ask_all(meter, DATABASES).await? {
            let closed = match (get::<bool>(&row, "open")?, get::<bool>(&row, "may_connect")?) {
                (false, _) => Some("it does not accept connections (ALLOW_CONNECTIONS false)".to_string()),
                (true, false) => Some(format!(
                    "the role may not connect; GRANT CONNECT ON DATABASE {} TO {};",
                    ident(&get::<String>(&row, "name")?),
                    ident(&self.role.name)
                )),
                (true, true) => None,
            };
            self.databases.push(DatabaseFacts { name: get(&row, "name")?, closed, extensions: None });
        }
        Ok(())
    }

    /// Whether a backend may say how much memory it holds; asking where it may not would leave an error in the server's log.
    pub(super) fn tells_memory(&self) -> bool {
        let version = self.server.version_num;
        version >= 140_000 && self.role.superuser || version >= 150_000 && self.role.read_all_stats
    }

    /// The life of the server that counters belong to; equal texts mean that they may be subtracted.
    #[must_use]
    pub fn epoch(&self) -> String {
        let known = |value: Option<String>| value.unwrap_or_else(|| "?".into());
        let Server { system_identifier, started_at, timeline, .. } = &self.server;
        format!(
            "{}/{}/{}",
            known(system_identifier.clone()),
            known(started_at.map(|s| s.to_string())),
            known(timeline.map(|t| t.to_string()))
        )
    }

    /// What a person should know of the pair of server and role beyond single metrics.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let major = self.server.version_num / 10_000;
        let mut notes = Vec::new();
        if major < *TESTED.start() {
            notes.push(format!(
                "PostgreSQL {} is older than {}: its frames are read as far as the SQL of newer versions fits",
                self.server.short_version(),
                TESTED.start()
            ));
        }
        if major > *TESTED.end() {
            notes.push(format!(
                "PostgreSQL {} is newer than this build knows: it is read with the SQL for {}",
                self.server.short_version(),
                TESTED.end()
            ));
        }
        if self.role.superuser {
            notes.push(format!(
                "{} is a superuser; a role with pg_monitor and a CONNECTION LIMIT is enough and safer",
                ident(&self.role.name)
            ));
        } else if !self.role.monitor {
            notes.push(format!("others' sessions and statements are hidden; GRANT pg_monitor TO {};", ident(&self.role.name)));
        }
        notes
    }

    /// Whether a metric can run on this server, as far as it is known before asking.
    ///
    /// # Errors
    /// Why not, and what would change it.
    pub fn judge(&self, metric: &Metric) -> Result<(), Missing> {
        let wrong_role = match (metric.role, self.server.in_recovery) {
            (Role::Primary, Some(true)) => Some("the server is a standby"),
            (Role::Standby, Some(false)) => Some("the server is a primary"),
            _ => None,
        };
        if let Some(why) = wrong_role {
            return Err(Missing::new(MissingReason::NotApplicable, why));
        }
        if metric.sql_for(self.server.version_num).is_none() {
            let from = metric.sql.first().map_or(0, |(from, _)| from / 10_000);
            let detail = format!("needs PostgreSQL {from}, the server is {}", self.server.short_version());
            return Err(Missing::new(MissingReason::Version, detail).with_remedy(format!("upgrade to PostgreSQL {from} or newer")));
        }
        metric.needs.iter().try_for_each(|Need::Extension { name, .. }| self.loaded(name))
    }

    fn loaded(&self, extension: &str) -> Result<(), Missing> {
        match &self.preloaded {
            Some(libraries) if NEED_PRELOAD.contains(&extension) && !libraries.iter().any(|library| library == extension) => {
                Err(Missing::new(MissingReason::NoExtension, format!("the server has not loaded {extension}"))
                    .with_remedy(format!("add {extension} to shared_preload_libraries, restart, then CREATE EXTENSION {extension};")))
            }
            _ => Ok(()),
        }
    }
}

/// Connects and looks at everything, databases and their extensions included.
///
/// # Errors
/// When there is no way in.
pub async fn probe(endpoint: &Endpoint, budget: &Budget) -> Result<Capabilities, ConnectError> {
    let mut meter = Meter::new(0.0);
    let session = Session::open(endpoint, endpoint.database(), budget, &mut meter).await?;
    let now = crate::clock::Clock::System.now();
    let asked = Capabilities::ask(&session, &mut meter, now, Instant::now()).await;
    session.close().await;
    let mut found = asked.map_err(|failure| not_a_server(endpoint, &failure))?;
    for database in found.databases.iter_mut().filter(|d| d.closed.is_none()).take(budget.max_databases) {
        match Session::open(endpoint, &database.name, budget, &mut meter).await {
            Ok(session) => {
                database.extensions = extensions(&session, &mut meter).await.ok();
                session.close().await;
            }
            Err(refusal) => database.closed = Some(refusal.detail),
        }
    }
    Ok(found)
}

/// It let us in but does not answer like PostgreSQL.
pub(super) fn not_a_server(endpoint: &Endpoint, failure: &Failure) -> ConnectError {
    let why = match failure {
        Failure::Lost(why) | Failure::Answer(why) | Failure::Refused { message: why, .. } => why.as_str(),
        Failure::TooLarge => "its answer is too large",
    };
    let detail = format!("{}: the server let us in but does not say what it is: {why}", endpoint.describe());
    ConnectError::new(MissingReason::Unreachable, detail, "check that this is PostgreSQL and that it is not stopping")
}

/// The extensions of the database that a session is in.
pub(super) async fn extensions(session: &Session, meter: &mut Meter) -> Result<Vec<ExtensionFacts>, Failure> {
    let rows = session.ask_all(meter, EXTENSIONS).await?;
    let facts = |row: &Row| {
        let (name, version, schema) = (get(row, "name")?, get(row, "version")?, get(row, "schema")?);
        Ok(ExtensionFacts { name, version, schema, usable: get(row, "usable")? })
    };
    rows.iter().map(facts).collect()
}

/// What stands in the way of a metric in a database with these extensions; the extension it runs with when nothing does.
pub(super) fn met<'a>(metric: &Metric, installed: &'a [ExtensionFacts], role: &str) -> Result<Option<&'a ExtensionFacts>, Missing> {
    let mut schema_of = None;
    for Need::Extension { name, min_version } in &metric.needs {
        let Some(found) = installed.iter().find(|e| e.name == *name) else {
            return Err(not_installed(name));
        };
        if older(&found.version, min_version) {
            let detail = format!("extension {name} is {}, {min_version} is needed", super::clean(&found.version));
            return Err(Missing::new(MissingReason::NoExtension, detail).with_remedy(format!("ALTER EXTENSION {} UPDATE;", ident(name))));
        }
        if !found.usable {
            let detail = format!("the role may not use the schema {} of extension {name}", super::clean(&found.schema));
            let remedy = format!("GRANT USAGE ON SCHEMA {} TO {};", ident(&found.schema), ident(role));
            return Err(Missing::new(MissingReason::NoGrant, detail).with_remedy(remedy));
        }
        schema_of = schema_of.or(Some(found));
    }
    Ok(schema_of)
}

/// The extension is in no database that was looked into.
pub(super) fn not_installed(name: &str) -> Missing {
    Missing::new(MissingReason::NoExtension, format!("extension {name} is not installed"))
        .with_remedy(format!("CREATE EXTENSION {}; in a database that pgsteward may enter", ident(name)))
}

/// Whether a dotted version is older than another; parts that are no number count as 0.
fn older(found: &str, wanted: &str) -> bool {
    let parts = |version: &str| version.split('.').map(|part| part.parse::<u64>().unwrap_or_default()).collect::<Vec<_>>();
    let (mut found, mut wanted) = (parts(found), parts(wanted));
    let length = found.len().max(wanted.len());
    found.resize(length, 0);
    wanted.resize(length, 0);
    found < wanted
}

async fn first(session: &Session, meter: &mut Meter, sql: &str) -> Result<Option<Row>, Failure> {
    match session.ask_all(meter, sql).await {
        Ok(rows) => Ok(rows.into_iter().next()),
        Err(Failure::Lost(why)) => Err(Failure::Lost(why)),
        Err(_) => Ok(None),
    }
}

/// One value of the host's own statements.
pub(super) fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, column: &str) -> Result<T, Failure> {
    row.try_get(column).map_err(|e| Failure::Answer(super::failure::chain(&e)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CostClass, FrameDef, Scope};

    fn metric(role: Role, from: u32, needs: &[(&str, &str)]) -> Metric {
        let need = |(name, min): &(&str, &str)| Need::Extension { name: (*name).into(), min_version: (*min).into() };
        Metric {
            frame: FrameDef { name: "f".into(), doc: String::new(), key: vec![], columns: vec![], reset_column: None },
            scope: Scope::Instance,
            role,
            every_s: 0,
            timeout_ms: None,
            cost: CostClass::Cheap,
            needs: needs.iter().map(need).collect(),
            grant: String::new(),
            top: None,
            sql: vec![(from, String::new())],
        }
    }

    fn server(version_num: u32, in_recovery: bool) -> Capabilities {
        let server = Server { version_num, version: "15.4 (Debian)".into(), in_recovery: Some(in_recovery), ..Server::default() };
        Capabilities { server, preloaded: Some(vec!["auto_explain".into()]), ..Capabilities::default() }
    }

    #[test]
    fn role_version_and_preload_are_judged_before_asking() {
        let judge = |metric: &Metric| server(150_004, true).judge(metric).map_err(|m| (m.reason, m.remedy.unwrap_or_default()));
        assert_eq!(judge(&metric(Role::Primary, 0, &[])), Err((MissingReason::NotApplicable, String::new())));
        assert_eq!(judge(&metric(Role::Standby, 0, &[])), Ok(()));
        assert_eq!(judge(&metric(Role::Any, 160_000, &[])), Err((MissingReason::Version, "upgrade to PostgreSQL 16 or newer".into())));
        let remedy = "add pg_stat_statements to shared_preload_libraries, restart, then CREATE EXTENSION pg_stat_statements;";
        assert_eq!(judge(&metric(Role::Any, 0, &[("pg_stat_statements", "1.8")])), Err((MissingReason::NoExtension, remedy.into())));
        assert_eq!(judge(&metric(Role::Any, 0, &[("pgstattuple", "1.4")])), Ok(()));
    }

    #[test]
    fn an_extension_is_judged_by_its_own_version() {
        let installed =
            |version: &str| vec![ExtensionFacts { name: "x".into(), version: version.into(), schema: "S".into(), usable: true }];
        let needs = metric(Role::Any, 0, &[("x", "1.10")]);
        let met = |metric: &Metric, installed: &[ExtensionFacts]| met(metric, installed, "mon").map(|found| found.cloned());
        assert_eq!(met(&needs, &installed("1.10")).unwrap().unwrap().schema, "S");
        assert_eq!(met(&needs, &installed("1.9")).unwrap_err().detail, "extension x is 1.9, 1.10 is needed");
        assert_eq!(met(&needs, &[]).unwrap_err().remedy.unwrap(), "CREATE EXTENSION x; in a database that pgsteward may enter");
        assert_eq!(met(&metric(Role::Any, 0, &[]), &[]).unwrap(), None);
        let closed = ExtensionFacts { usable: false, ..installed("1.10").remove(0) };
        assert_eq!(met(&needs, &[closed]).unwrap_err().remedy.unwrap(), "GRANT USAGE ON SCHEMA \"S\" TO mon;");
        assert!(!older("2", "1.10") && !older("1.10.0", "1.10") && older("1.9", "1.10"));
    }

    #[test]
    fn unknown_versions_and_unfit_roles_are_said() {
        let notes = |version_num, superuser| {
            let mut found = server(version_num, false);
            found.role = RoleFacts { name: "mon".into(), superuser, ..RoleFacts::default() };
            found.notes()
        };
        assert!(notes(120_000, true)[0].contains("older than 13"));
        assert!(notes(210_000, true)[0].contains("newer than this build knows"));
        assert_eq!(notes(160_000, false), ["others' sessions and statements are hidden; GRANT pg_monitor TO mon;"]);
    }

    #[test]
    fn an_epoch_names_what_is_not_known() {
        assert_eq!(server(150_004, false).epoch(), "?/?/?");
    }
}
