//! What went wrong, in the classes that a person can act on: connecting, and asking.
//!
//! SQLSTATE decides wherever the server gives one: its texts are in its own language, and hostile. They are shown cleaned.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

use super::ROLE_IN_GRANT;
use super::capability::Capabilities;
use super::clean::clean;
use super::dsn::{Address, Endpoint};
use crate::model::action::quote::ident;
use crate::model::{Metric, Missing, MissingReason};

/// A session could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ConnectError {
    /// `Unreachable`, `LoginRefused` or `TooManyClients`.
    pub reason: MissingReason,
    /// Where, and what the server or the network said; no secret.
    pub detail: String,
    /// Who should do what.
    pub remedy: String,
    /// Whether the server itself refused, so that another of its databases may still let us in.
    pub answered: bool,
}

impl ConnectError {
    /// An error of one class.
    pub(super) fn new(reason: MissingReason, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), remedy: remedy.into(), answered: false }
    }

    /// The same as what every frame of the server then is.
    #[must_use]
    pub fn to_missing(&self) -> Missing {
        Missing::new(self.reason, self.detail.clone()).with_remedy(self.remedy.clone())
    }

    /// Classes what connecting to one address ended with.
    pub(super) fn of(error: &tokio_postgres::Error, endpoint: &Endpoint, address: &Address, database: &str) -> Self {
        let said = |what: &str| format!("{address}: {what}");
        let Some(db) = error.as_db_error() else { return Self::without_answer(error, address) };
        let message = said(&clean(db.message()));
        let role = ident(&endpoint.user);
        let (reason, remedy) = match *db.code() {
            SqlState::INVALID_PASSWORD => {
                (MissingReason::LoginRefused, format!("correct the password of {role}: in the connection string, PGPASSWORD or ~/.pgpass"))
            }
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION => (
                MissingReason::LoginRefused,
                format!(
                    "let {role} in: the role must exist with LOGIN, and pg_hba.conf needs a line for it, this host and {}",
                    ident(database)
                ),
            ),
            SqlState::INSUFFICIENT_PRIVILEGE => {
                (MissingReason::LoginRefused, format!("GRANT CONNECT ON DATABASE {} TO {role};", ident(database)))
            }
            // The server has room; the limit is the role's or the database's own.
            SqlState::TOO_MANY_CONNECTIONS if message.contains("for role") || message.contains("for database") => {
                (MissingReason::LoginRefused, format!("end other sessions of {role}, or raise its CONNECTION LIMIT or the database's"))
            }
            SqlState::TOO_MANY_CONNECTIONS => (
                MissingReason::TooManyClients,
                format!(
                    "find who holds the connections, or raise max_connections; on 16 and newer: set reserved_connections and GRANT pg_use_reserved_connections TO {role};"
                ),
            ),
            SqlState::INVALID_CATALOG_NAME => (MissingReason::LoginRefused, "name a database that exists (dbname=postgres)".into()),
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => {
                (MissingReason::LoginRefused, "name a database that accepts connections (dbname=postgres)".into())
            }
            SqlState::CANNOT_CONNECT_NOW => {
                (MissingReason::Unreachable, "start the server, or wait until it has started; its log says how far it is".into())
            }
            _ => (MissingReason::Unreachable, "look into the server's log".into()),
        };
        Self { answered: true, ..Self::new(reason, message, remedy) }
    }

    /// Neither a yes nor a no from the server: network, TLS, or a login that this side gave up.
    fn without_answer(error: &tokio_postgres::Error, address: &Address) -> Self {
        let chain = chain(error);
        // What kind of trouble it is stands in the text only; what it is about comes after.
        let (kind, what) = chain.split_once(": ").unwrap_or((&chain, &chain));
        let detail = format!("{address}: {what}");
        let login = |detail: String, remedy: &str| Self { answered: true, ..Self::new(MissingReason::LoginRefused, detail, remedy) };
        match (kind, what) {
            (_, "password missing") => login(
                format!("{address}: the server asks for a password and none is known"),
                "give one in ~/.pgpass (mode 0600), PGPASSWORD or the connection string",
            ),
            ("authentication error", _) => login(
                format!("{address}: {chain}"),
                "pg_hba.conf must ask for a method that this client knows: scram-sha-256, md5, password, cert or trust",
            ),
            ("error performing TLS handshake", "server does not support TLS") => {
                Self::new(MissingReason::Unreachable, detail, "switch ssl on in the server, or do without it: sslmode=prefer")
            }
            ("error performing TLS handshake", _) => Self::new(
                MissingReason::Unreachable,
                format!("{address}: TLS: {what}"),
                "point sslrootcert at the certificate that signed the server's, and use a name that stands in it as host",
            ),
            _ => Self::new(MissingReason::Unreachable, detail, NOBODY_THERE),
        }
    }
}

/// What to do when no server answers.
pub(super) const NOBODY_THERE: &str = "check the host and port, that PostgreSQL runs and listens there, and that no firewall is in between";

/// An error and its sources in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let next = inner.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        source = inner.source();
    }
    clean(&text)
}

/// A statement did not yield its rows.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The connection is gone; nothing more can be read through it.
    Lost(String),
    /// The server refused the statement and goes on.
    Refused { code: SqlState, message: String },
    /// The rows do not fit the frame's description.
    Answer(String),
    /// There were more bytes than a sweep may read.
    TooLarge,
}

impl Failure {
    /// Classes the end of a statement.
    pub fn of(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) if ends_the_session(db.code()) => Self::Lost(clean(db.message())),
            Some(db) => Self::Refused { code: db.code().clone(), message: clean(db.message()) },
            None if error.source().is_some_and(|source| source.is::<std::io::Error>()) || error.is_closed() => Self::Lost(chain(error)),
            None => Self::Answer(chain(error)),
        }
    }

    /// Whether the statement ran into `statement_timeout`.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == SqlState::QUERY_CANCELED)
    }

    /// What the metric's frame then is.
    pub fn to_missing(&self, metric: &Metric, timeout_ms: u64, found: &Capabilities) -> Missing {
        let (code, message) = match self {
            Self::Lost(why) => return Missing::new(MissingReason::Unreachable, format!("the connection was lost: {why}")),
            Self::Answer(why) => return Missing::new(MissingReason::ServerError, why.clone()),
            Self::TooLarge => return Missing::new(MissingReason::Budget, "its answer went beyond what one sweep may read"),
            Self::Refused { code, message } => (code, message),
        };
        let name = &metric.frame.name;
        match *code {
            SqlState::INSUFFICIENT_PRIVILEGE => {
                let missing = Missing::new(MissingReason::NoGrant, message.clone());
                let grant = metric.grant.replace(ROLE_IN_GRANT, &ident(&found.role.name));
                if grant.is_empty() { missing } else { missing.with_remedy(grant) }
            }
            SqlState::LOCK_NOT_AVAILABLE => {
                Missing::new(MissingReason::LockTimeout, format!("a relation that `{name}` reads is locked: {message}"))
                    .with_remedy("none: it is read again at the next sweep; the frame `blocking` shows who holds locks")
            }
            SqlState::QUERY_CANCELED => Missing::new(MissingReason::StatementTimeout, format!("not done after {timeout_ms} ms: {message}"))
                .with_remedy("raise budget.statement_timeout, or switch the metric off for this server"),
            SqlState::FEATURE_NOT_SUPPORTED => Missing::new(MissingReason::Version, message.clone()),
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE if found.server.in_recovery == Some(true) => {
                Missing::new(MissingReason::NotCollected, message.clone())
            }
            _ => Missing::new(MissingReason::ServerError, format!("{message} (SQLSTATE {})", code.code())),
        }
    }
}

/// Shutdown, crash recovery, a terminated backend, a timeout that closes sessions, a broken wire.
fn ends_the_session(code: &SqlState) -> bool {
    let code = code.code();
    code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CostClass, FrameDef, Role, Scope};

    fn missing(code: SqlState, in_recovery: bool) -> Missing {
        let frame = FrameDef { name: "wal".into(), doc: String::new(), key: vec![], columns: vec![], reset_column: None };
        let metric = Metric {
            frame,
            scope: Scope::Instance,
            role: Role::Any,
            every_s: 0,
            timeout_ms: None,
            cost: CostClass::Cheap,
            needs: vec![],
            grant: format!("GRANT pg_monitor TO {ROLE_IN_GRANT};"),
            top: None,
            sql: vec![],
        };
        let mut found = Capabilities::default();
        found.server.in_recovery = Some(in_recovery);
        found.role.name = "Mon".into();
        Failure::Refused { code, message: "said".into() }.to_missing(&metric, 5000, &found)
    }

    #[test]
    fn each_refusal_has_the_reason_that_a_person_can_act_on() {
        let denied = missing(SqlState::INSUFFICIENT_PRIVILEGE, false);
        assert_eq!((denied.reason, denied.remedy.as_deref()), (MissingReason::NoGrant, Some("GRANT pg_monitor TO \"Mon\";")));
        assert_eq!(missing(SqlState::LOCK_NOT_AVAILABLE, false).detail, "a relation that `wal` reads is locked: said");
        assert_eq!(missing(SqlState::QUERY_CANCELED, false).detail, "not done after 5000 ms: said");
        assert_eq!(missing(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, true).reason, MissingReason::NotCollected);
        assert_eq!(missing(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, false).reason, MissingReason::ServerError);
        let undefined = missing(SqlState::UNDEFINED_COLUMN, false);
        assert_eq!((undefined.reason, undefined.detail.as_str()), (MissingReason::ServerError, "said (SQLSTATE 42703)"));
    }

    #[test]
    fn a_server_that_stops_ends_the_session() {
        for code in ["57P01", "57P02", "57P03", "08006", "25P03"] {
            assert!(ends_the_session(&SqlState::from_code(code)), "{code}");
        }
        assert!(!ends_the_session(&SqlState::QUERY_CANCELED));
    }
}
