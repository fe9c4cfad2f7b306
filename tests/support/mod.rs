//! Real servers for integration tests: `mod support;`, then `support::server(17).await`.
//!
//! One cluster a major and test process, started when first asked for (0.7 s) and gone with the process. The binaries are
//! found on the machine or fetched. `PGSTEWARD_TEST_MAJORS` says which majors are tested. A test that needs a server of
//! its own, to stop it or make it sick, starts a `Cluster` from `binaries`.
#![allow(dead_code, reason = "every test file uses its own part")]

pub mod gate;
pub mod service;

use std::collections::BTreeMap;
use std::sync::Mutex;

use pgsteward::demo::cluster::{self, STEWARD, SUPERUSER};
use pgsteward::demo::{Binaries, Cluster, Search, obtain};
use tokio_postgres::{Client, Config, NoTls};

/// The majors under test: `PGSTEWARD_TEST_MAJORS`, such as `15,17`, else all that are supported.
pub fn majors() -> Vec<u32> {
    let majors = std::env::var_os("PGSTEWARD_TEST_MAJORS").unwrap_or_else(|| "14,15,16,17,18".into());
    let majors = majors.into_string().unwrap();
    majors.split(',').map(|major| major.trim().parse().unwrap_or_else(|_| panic!("PGSTEWARD_TEST_MAJORS: `{major}` is no major"))).collect()
}

/// The newest major under test, for tests that need just one server.
pub fn newest() -> u32 {
    majors().into_iter().max().unwrap()
}

/// Server binaries of a major, found or fetched.
pub fn binaries(major: u32) -> Binaries {
    let found = obtain(&Search::here(Some(major)), &|_| ());
    found.unwrap_or_else(|error| panic!("PostgreSQL {major} for the tests: {error}"))
}

/// The shared cluster of a major, with the roles `postgres` (superuser) and `steward` (`pg_monitor` only).
pub async fn server(major: u32) -> &'static Server {
    // One start at a time, by whichever test asks first; it blocks that test's thread only.
    static SERVERS: Mutex<BTreeMap<u32, &'static Server>> = Mutex::new(BTreeMap::new());
    let started = move || {
        let mut servers = SERVERS.lock().unwrap();
        *servers.entry(major).or_insert_with(|| Box::leak(Box::new(Server::start(major))))
    };
    tokio::task::spawn_blocking(started).await.unwrap()
}

/// A cluster that tests share, so they only add databases and roles to it.
#[derive(Debug)]
pub struct Server {
    /// The cluster.
    pub cluster: Cluster,
    /// Its major.
    pub major: u32,
}

impl Server {
    fn start(major: u32) -> Self {
        let options = cluster::options().tcp().set("max_connections", 60).set("max_prepared_transactions", 5);
        let cluster = Cluster::start(&binaries(major), &options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(cluster.create_steward()).unwrap();
        Self { cluster, major }
    }

    /// A DSN as superuser.
    pub fn superuser(&self, database: &str) -> String {
        self.cluster.dsn(database, SUPERUSER)
    }

    /// A DSN as a role that has `pg_monitor` and nothing else.
    pub fn steward(&self, database: &str) -> String {
        self.cluster.dsn(database, STEWARD)
    }

    /// A new, empty database under a name of the test's own.
    pub async fn database(&self, name: &str) {
        let client = connect(&self.cluster.config("postgres", SUPERUSER)).await;
        client.batch_execute(&format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""))).await.unwrap();
    }
}

/// A connection that lives as long as the client and the test's runtime.
pub async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
