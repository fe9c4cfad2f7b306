//! One connection to one database: opened, asked, closed; it may rest in `kept` in between.
//!
//! Every question is its own transaction that the host opens READ ONLY with its own limits, set locally so that they also
//! hold behind a pooler, which drops startup options and hands sessions on. Only the extended protocol is used, one
//! statement a message, with unnamed statements: text that tries to be two statements is refused by the server. The pairs
//! BEGIN + limits and question + COMMIT are each sent in one go, so a metric costs two round trips.

use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::join;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Connection, Row};

use super::cost::Meter;
use super::dsn::{Address, Endpoint};
use super::failure::{ConnectError, Failure, NOBODY_THERE, chain};
use super::tls::TlsMode;
use super::{Budget, MARKER};
use crate::model::MissingReason;

/// How much longer than `statement_timeout` an answer may take before the network or the server is taken for hung.
const GRACE: Duration = Duration::from_secs(5);

/// How long a goodbye may take; only then may the next session be opened.
const GOODBYE: Duration = Duration::from_secs(1);

/// An open connection.
pub(super) struct Session {
    client: Client,
    driver: tokio::task::JoinHandle<()>,
    lock_timeout_ms: u64,
    statement_timeout_ms: u64,
    /// JIT compiles catalogue queries for longer than they run; the setting came with version 11.
    knows_jit: bool,
    /// Where it is connected.
    pub address: Address,
    /// The database that it is in.
    pub database: String,
    /// Since when.
    pub opened: Instant,
}

impl Session {
    /// Opens a connection to a database of the endpoint, at the first of its addresses that answers.
    pub async fn open(endpoint: &Endpoint, database: &str, budget: &Budget, meter: &mut Meter) -> Result<Self, ConnectError> {
        let mut refusals: Vec<ConnectError> = Vec::new();
        for address in &endpoint.addresses {
            let started = Instant::now();
            let opened = Self::open_at(endpoint, address, database, budget).await;
            meter.charge(0, started.elapsed());
            match opened {
                Ok(session) => {
                    meter.cost.connections += 1;
                    return Ok(session);
                }
                Err(refusal) if refusal.reason == MissingReason::Unreachable => refusals.push(refusal),
                Err(refusal) => return Err(refusal),
            }
        }
        let detail = refusals.iter().map(|r| r.detail.as_str()).collect::<Vec<_>>().join("; ");
        let remedy = refusals.first().map(|r| r.remedy.clone()).unwrap_or_default();
        Err(ConnectError::new(MissingReason::Unreachable, detail, remedy))
    }

    async fn open_at(endpoint: &Endpoint, address: &Address, database: &str, budget: &Budget) -> Result<Self, ConnectError> {
        if endpoint.hung.is_there() {
            let detail = format!("{address}: an earlier login still waits on the server, so no other is begun");
            return Err(ConnectError::new(
                MissingReason::Unreachable,
                detail,
                "look for a lock on a catalogue of the server, or a server that stands still",
            ));
        }
        let limit = Duration::from_millis(budget.connect_timeout_ms.max(1)).min(endpoint.connect_timeout.unwrap_or(Duration::MAX));
        let (config, no_password) = endpoint.login(address, database);
        let tls = endpoint.tls.connector().map_err(|e| {
            ConnectError::new(
                MissingReason::Unreachable,
                format!("{address}: TLS: {}", chain(&e)),
                "correct the ssl parameters of the connection",
            )
        })?;
        let mut refusal =
            ConnectError::new(MissingReason::Unreachable, format!("{address}: no answer within {} ms", limit.as_millis()), NOBODY_THERE);
        for mode in ways(endpoint.tls.mode, address.is_socket()) {
            let mut config = config.clone();
            config.ssl_mode(*mode);
            let tls = tls.clone();
            let mut login = tokio::spawn(async move { config.connect(tls).await });
            match timeout(limit, &mut login).await {
                Ok(Ok(Ok((client, connection)))) => return Ok(Self::new(client, connection, address.clone(), database, budget)),
                Ok(Ok(Err(error))) => {
                    refusal = ConnectError::of(&error, endpoint, address, database);
                    if !may_try_other_way(&error) {
                        break;
                    }
                }
                Ok(Err(_)) => break,
                Err(_) => {
                    endpoint.hung.keep(login);
                    break;
                }
            }
        }
        match no_password {
            Some(why) if refusal.reason == MissingReason::LoginRefused => Err(ConnectError { remedy: chain(&why), ..refusal }),
            _ => Err(refusal),
        }
    }

    fn new<S, T>(client: Client, connection: Connection<S, T>, address: Address, database: &str, budget: &Budget) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let knows_jit = connection.parameter("server_version").and_then(major).is_some_and(|major| major >= 11);
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = chain(&error), "connection ended");
            }
        });
        let statement_timeout_ms = budget.statement_timeout_ms.max(1);
        Self {
            client,
            driver,
            lock_timeout_ms: budget.lock_timeout_ms.max(1),
            statement_timeout_ms,
            knows_jit,
            address,
            database: database.to_string(),
            opened: Instant::now(),
        }
    }

    /// Runs one statement in a READ ONLY transaction of its own and hands over its rows until `take` says that it has enough.
    /// `timeout_ms` shortens the budget's `statement_timeout`, never lengthens it.
    pub async fn ask(
        &self,
        meter: &mut Meter,
        sql: &str,
        timeout_ms: Option<u64>,
        take: &mut (dyn FnMut(&Row) -> Result<Enough, String> + Send),
    ) -> Result<(), Failure> {
        let statement_ms = self.statement_timeout(timeout_ms);
        let started = Instant::now();
        let patience = Duration::from_millis(statement_ms) + GRACE;
        let ended = timeout(patience, self.transaction(meter, sql, statement_ms, take)).await;
        let ended = ended.unwrap_or_else(|_| Err(Failure::Lost(format!("no answer within {} s", patience.as_secs()))));
        meter.charge(4, started.elapsed());
        meter.ended(ended.as_ref().err().is_some_and(Failure::is_timeout));
        ended
    }

    /// The limit that holds for a statement with a limit of its own, in milliseconds; never 0, which would be none.
    pub fn statement_timeout(&self, own_ms: Option<u64>) -> u64 {
        own_ms.unwrap_or(self.statement_timeout_ms).clamp(1, self.statement_timeout_ms)
    }

    async fn transaction(
        &self,
        meter: &mut Meter,
        sql: &str,
        statement_ms: u64,
        take: &mut (dyn FnMut(&Row) -> Result<Enough, String> + Send),
    ) -> Result<(), Failure> {
        let begin = format!("/* {MARKER} */ BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY");
        let limits = self.limits(statement_ms);
        let (begun, limited) = join(self.client.execute_typed(&begin, &[]), self.client.query_typed(&limits, &[])).await;
        let prepared = begun.and(limited.map(|_| 0));
        let marked = format!("/* {MARKER} */ {sql}");
        let question = async {
            match &prepared {
                Ok(_) => self.rows(meter, &marked, take).await,
                Err(error) => Err(Failure::of(error)),
            }
        };
        let (answer, _) = join(question, self.client.execute_typed("COMMIT", &[])).await;
        answer
    }

    async fn rows(
        &self,
        meter: &mut Meter,
        sql: &str,
        take: &mut (dyn FnMut(&Row) -> Result<Enough, String> + Send),
    ) -> Result<(), Failure> {
        let no_parameters = std::iter::empty::<(&(dyn ToSql + Sync), Type)>();
        let stream = self.client.query_typed_raw(sql, no_parameters).await.map_err(|e| Failure::of(&e))?;
        let mut stream = std::pin::pin!(stream);
        while let Some(row) = stream.try_next().await.map_err(|e| Failure::of(&e))? {
            if !meter.row(row.raw_size_bytes()) {
                return Err(Failure::TooLarge);
            }
            if take(&row).map_err(Failure::Answer)? == Enough::Yes {
                break;
            }
        }
        Ok(())
    }

    /// Everything the transaction is bound by. `search_path` keeps a function that somebody put into a public schema from
    /// being run in the place of the catalogue's.
    fn limits(&self, statement_ms: u64) -> String {
        let lock_ms = self.lock_timeout_ms;
        let idle_ms = statement_ms + GRACE.as_millis() as u64;
        let jit = if self.knows_jit { ", set_config('jit', 'off', true)" } else { "" };
        format!(
            "/* {MARKER} */ SELECT set_config('statement_timeout', '{statement_ms}', true), set_config('lock_timeout', '{lock_ms}', true), \
             set_config('idle_in_transaction_session_timeout', '{idle_ms}', true), set_config('search_path', 'pg_catalog', true), \
             set_config('max_parallel_workers_per_gather', '0', true){jit}"
        )
    }

    /// All rows of a small statement of the host's own.
    pub async fn ask_all(&self, meter: &mut Meter, sql: &str) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        self.ask(meter, sql, None, &mut |row| {
            rows.push(row.clone());
            Ok(if rows.len() < MAX_OWN_ROWS { Enough::No } else { Enough::Yes })
        })
        .await?;
        Ok(rows)
    }

    /// Whether nothing can be asked any more.
    pub fn is_lost(&self) -> bool {
        self.client.is_closed()
    }

    /// Says goodbye and waits until the connection is gone, so that two are never open at once.
    pub async fn close(self) {
        drop(self.client);
        let mut driver = self.driver;
        if timeout(GOODBYE, &mut driver).await.is_err() {
            driver.abort();
        }
    }
}

/// Rows that the host's own statements may yield: a cluster with more databases is beyond what one sweep can visit.
const MAX_OWN_ROWS: usize = 10_000;

/// Whether a reader of rows wants more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Enough {
    Yes,
    No,
}

/// The ways of connecting that a mode allows, in order.
fn ways(mode: TlsMode, socket: bool) -> &'static [SslMode] {
    match mode {
        _ if socket => &[SslMode::Disable],
        TlsMode::Disable => &[SslMode::Disable],
        TlsMode::Allow => &[SslMode::Disable, SslMode::Require],
        TlsMode::Prefer => &[SslMode::Prefer, SslMode::Disable],
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => &[SslMode::Require],
    }
}

/// Whether encryption, or its lack, may be what the server minds.
fn may_try_other_way(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        None => error.to_string().starts_with("error performing TLS handshake"),
    }
}

/// `15` from `15.18 (Debian 15.18-1)`.
fn major(version: &str) -> Option<u32> {
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_never_encrypted_and_verifying_modes_never_fall_back() {
        assert_eq!(ways(TlsMode::VerifyFull, true), [SslMode::Disable]);
        assert_eq!(ways(TlsMode::VerifyFull, false), [SslMode::Require]);
        assert_eq!(ways(TlsMode::Prefer, false), [SslMode::Prefer, SslMode::Disable]);
    }

    #[test]
    fn the_major_version_is_read_from_any_text() {
        assert_eq!(major("15.18 (Debian 15.18-1)"), Some(15));
        assert_eq!(major("19devel"), Some(19));
        assert_eq!(major("PgBouncer"), None);
    }
}
