//! Makes a cluster sick: the database `shop`, a young company's after two years without a keeper, and its users.
//!
//! `sick/*.sql` has what lies in the database; here are the troubles that are people: sessions that wait, hold and crowd.
//! [`TROUBLES`] lists every one with the frame that shows it, and `tests/demo_cluster.rs` proves each on a real server.
//! All is bounded: sizes, sessions, and how long one round of work takes. Nothing is random.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};

use super::Error;
use super::cluster::{self, Cluster, Options, SUPERUSER};

/// The database.
pub const DATABASE: &str = "shop";
/// The role that owns it and that the shop's programs use.
pub const APP: &str = "shop_app";
/// Idle connections of the shop's pool: with the other sessions more than 80 % of `max_connections`.
const POOL: usize = 29;
/// How long making it sick may take, in seconds.
const SICKEN_S: u64 = 120;
/// How long one round of work may take, in seconds.
const ROUND_S: u64 = 30;
/// How often one round asks for a year.
const YEARS: i32 = 20;

/// One trouble, and where it can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// Short name.
    pub name: &'static str,
    /// The frame that shows it.
    pub frame: &'static str,
    /// Whom it is about: a table, index, sequence, slot or program.
    pub subject: &'static str,
    /// What is wrong, in a sentence for a person.
    pub what: &'static str,
}

/// All troubles, in the order in which they are made.
pub const TROUBLES: &[Trouble] = &[
    trouble("slow_query", "statements", "employees", "employees are looked up by year, and every look reads all 200,000"),
    trouble("seq_scans", "tables", "employees", "a table of 200,000 rows is read from end to end again and again"),
    trouble("temp_files", "databases", "shop", "the payroll report sorts on disk, because work_mem is too small for it"),
    trouble("dead_rows", "tables", "carts", "most of the rows are dead, and autovacuum is off for the table"),
    trouble("unused_index", "indexes", "employees_badge_idx", "an index of more than 10 MB that nobody ever reads"),
    trouble("duplicate_index", "indexes", "orders_placed_idx2", "the same index twice"),
    trouble("invalid_index", "indexes", "invoices_number_key", "left behind by a failed CREATE UNIQUE INDEX CONCURRENTLY"),
    trouble("sequence_near_end", "sequences", "tickets_id_seq", "95 % of what an integer can count is used"),
    trouble("small_sequence_near_end", "sequences", "gates_gate_no_seq", "92 % of what a smallint can count is used"),
    trouble("foreign_key_without_index", "indexes", "orders", "orders point to customers, and nothing finds them by customer"),
    trouble("no_primary_key", "tables", "audit_log", "rows that nothing can tell apart"),
    trouble("hostile_names", "tables", "hostile", "names with quotes, line ends, escape codes and right-to-left marks"),
    trouble("inactive_slot", "slots", "forgotten_replica", "keeps the server's WAL for a replica that never comes"),
    trouble(
        "prepared_transaction",
        "sessions",
        "forgotten-import",
        "a prepared transaction that nobody commits holds locks and the horizon",
    ),
    trouble("idle_in_transaction", "sessions", "nightly-export", "has changed rows and then gone to sleep inside its transaction"),
    trouble("blocked", "blocking", "migration", "an ALTER TABLE waits for the sleeper"),
    trouble("ddl_queue", "blocking", "checkout", "a plain SELECT waits behind the ALTER TABLE, as every later one will"),
    trouble("connections_near_limit", "instance", "shop-pool", "a pool that does nothing holds most of the connections"),
];

const fn trouble(name: &'static str, frame: &'static str, subject: &'static str, what: &'static str) -> Trouble {
    Trouble { name, frame, subject, what }
}

/// The settings that the sick server needs.
#[must_use]
pub fn options() -> Options {
    cluster::options()
        .set("max_connections", 40)
        .set("superuser_reserved_connections", 3)
        .set("max_prepared_transactions", 5)
        .set("wal_level", "replica")
        .set("work_mem", "1MB")
        .set("max_parallel_workers_per_gather", 0)
}

/// The shop's users. Dropping it ends their sessions; the database stays.
#[derive(Debug)]
pub struct Sickness {
    worker: Client,
    major: u32,
    _idle: Vec<Client>,
    _tasks: JoinSet<Result<(), tokio_postgres::Error>>,
}

/// Makes the cluster sick; takes a few seconds. The cluster must have been started with [`options`].
///
/// # Errors
/// When the server refuses something, or it all takes longer than two minutes.
pub async fn sicken(cluster: &Cluster) -> Result<Sickness, Error> {
    let late = |_| Error::TooLong { what: "making it sick", seconds: SICKEN_S };
    timeout(Duration::from_secs(SICKEN_S), async {
        let mut crowd = Crowd { config: cluster.config(DATABASE, APP), tasks: JoinSet::new() };
        prepare(cluster).await?;
        let worker = crowd.join("shop").await?;
        fill(&worker).await?;
        let idle = hold(&mut crowd).await?;
        Ok(Sickness { worker, major: cluster.binaries().major, _idle: idle, _tasks: crowd.tasks })
    })
    .await
    .map_err(late)?
}

impl Sickness {
    /// One round of the shop's work: look-ups by year, one payroll report, some carts. `tick` only varies the years.
    ///
    /// # Errors
    /// When the server refuses, is gone, or the round takes longer than half a minute.
    pub async fn workload(&self, tick: u32) -> Result<(), Error> {
        let late = |_| Error::TooLong { what: "a round of work", seconds: ROUND_S };
        timeout(Duration::from_secs(ROUND_S), self.round(tick)).await.map_err(late)?
    }

    async fn round(&self, tick: u32) -> Result<(), Error> {
        let refused = || Error::server("the shop's work");
        let first = i32::try_from(tick % 12).unwrap_or_default();
        for year in first..first + YEARS {
            let year = 2010 + year % 12;
            let sql = "SELECT id, name, salary FROM employees WHERE hired_year = $1 ORDER BY salary DESC LIMIT 20";
            self.worker.query(sql, &[&year]).await.map_err(refused())?;
        }
        self.worker.batch_execute(include_str!("sick/payroll.sql")).await.map_err(refused())?;
        self.worker.execute("UPDATE carts SET items = items + 1 WHERE id % 100 = $1", &[&(first + 1)]).await.map_err(refused())?;
        self.worker.query("SELECT count(*) FROM orders WHERE placed_on >= DATE '2024-01-01'", &[]).await.map_err(refused())?;
        // A session that falls idle keeps its last counts to itself for up to ten seconds, unless told; 14 cannot be told.
        if self.major >= 15 {
            self.worker.batch_execute("SELECT pg_stat_force_next_flush()").await.map_err(refused())?;
        }
        Ok(())
    }
}

/// Opens sessions; the tasks that serve them end with it.
struct Crowd {
    config: Config,
    tasks: JoinSet<Result<(), tokio_postgres::Error>>,
}

impl Crowd {
    /// A new session under a program's name.
    async fn join(&mut self, program: &str) -> Result<Client, Error> {
        let mut config = self.config.clone();
        config.application_name(program);
        let (client, connection) = config.connect(NoTls).await.map_err(Error::server("a session of the shop"))?;
        self.tasks.spawn(connection);
        Ok(client)
    }

    /// A session that runs `sql` and is not waited for: it will wait for a lock until the end.
    async fn wait_in(&mut self, program: &str, sql: &'static str) -> Result<(), Error> {
        let client = self.join(program).await?;
        self.tasks.spawn(async move { client.batch_execute(sql).await });
        Ok(())
    }
}

/// What only the superuser may do: the role, the database, the slot and the extension.
async fn prepare(cluster: &Cluster) -> Result<(), Error> {
    let refused = || Error::server("to set up the shop");
    let mut boss = Crowd { config: cluster.config("postgres", SUPERUSER), tasks: JoinSet::new() };
    let client = boss.join("setup").await?;
    client.batch_execute(&format!("CREATE ROLE {APP} LOGIN")).await.map_err(refused())?;
    client.batch_execute(&format!("CREATE DATABASE {DATABASE} OWNER {APP}")).await.map_err(refused())?;
    client.batch_execute("SELECT pg_create_physical_replication_slot('forgotten_replica', true)").await.map_err(refused())?;
    boss.config = cluster.config(DATABASE, SUPERUSER);
    let client = boss.join("setup").await?;
    let there = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_stat_statements' \
                 AND current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%'";
    let row = client.query_one(there, &[]).await.map_err(refused())?;
    if row.try_get::<_, i64>(0).map_err(refused())? > 0 {
        client.batch_execute("CREATE EXTENSION pg_stat_statements").await.map_err(refused())?;
    }
    Ok(())
}

/// What lies in the database.
async fn fill(worker: &Client) -> Result<(), Error> {
    worker.batch_execute(include_str!("sick/shop.sql")).await.map_err(Error::server("the shop's tables"))?;
    worker.batch_execute(include_str!("sick/hostile.sql")).await.map_err(Error::server("the hostile names"))?;
    // It must fail: the numbers are not unique, and what remains is an invalid index.
    let failed = worker.batch_execute("CREATE UNIQUE INDEX CONCURRENTLY invoices_number_key ON invoices (number)").await;
    match failed {
        Err(error) if error.code() == Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION) => {}
        other => other.map_err(Error::server("an index"))?,
    }
    let forget = "BEGIN; UPDATE stock SET pieces = pieces - 1 WHERE id = 1; PREPARE TRANSACTION 'forgotten-import'";
    worker.batch_execute(forget).await.map_err(Error::server("a prepared transaction"))
}

/// The sessions that hold and wait, each only once the one before it stands, and the pool. Returns those that do nothing.
async fn hold(crowd: &mut Crowd) -> Result<Vec<Client>, Error> {
    let sleeper = crowd.join("nightly-export").await?;
    let begin = "BEGIN; UPDATE accounts SET balance = balance + 1 WHERE id = 1";
    sleeper.batch_execute(begin).await.map_err(Error::server("a transaction"))?;
    let mut idle = vec![sleeper];
    for _ in 0..POOL {
        idle.push(crowd.join("shop-pool").await?);
    }
    let watcher = idle.last();
    // In a transaction, so that the table is the same afterwards.
    crowd.wait_in("migration", "BEGIN; ALTER TABLE accounts ADD COLUMN note text").await?;
    waits(watcher, "migration").await?;
    crowd.wait_in("checkout", "SELECT sum(balance) FROM accounts").await?;
    waits(watcher, "checkout").await?;
    Ok(idle)
}

/// Returns when the program's session waits for a lock. `sicken` bounds the time.
async fn waits(watcher: Option<&Client>, program: &str) -> Result<(), Error> {
    let Some(watcher) = watcher else { return Ok(()) };
    let sql = "SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'";
    while watcher.query(sql, &[&program]).await.map_err(Error::server("a look at its sessions"))?.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
