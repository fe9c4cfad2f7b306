//! A throw-away cluster: made, started, stopped, killed, started again, and removed without a trace.
//!
//! It lives in one short folder of its own (a socket's path has at most 107 bytes). Only its owner can get at the socket,
//! which is why everybody there is trusted; it listens on the network only where a test asks for it, and then on the
//! loopback address. A *keeper* stands beside it: a shell that waits for the end of a pipe which we hold, then stops the
//! server and removes the folder. So one path cleans up after an error, a drop, Ctrl-C, and even after `kill -9` of us,
//! and no server is left behind. Deliberately absent: backups, replicas, anything that should last.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use super::Error;
use super::find::Binaries;
use super::owner::Owner;
use super::run::{clean, run};

/// How long one program of PostgreSQL may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The longest folder name under which a socket still has room.
const LONGEST: usize = 60;
/// The superuser.
pub const SUPERUSER: &str = "postgres";
/// The role that watches, see [`Cluster::create_steward`].
pub const STEWARD: &str = "steward";

/// What the keeper does. `$1` is `pg_ctl`, `$2` the cluster's folder.
const KEEPER: &str = r#"cat >/dev/null
"$1" stop -D "$2/data" -m immediate -t 10 >/dev/null 2>&1
for again in 1 2 3 4 5; do rm -rf "$2" 2>/dev/null && exit 0; sleep 0.2; done"#;

/// Settings of a cluster, over defaults that make it small, quick and careless of its data.
#[derive(Debug, Clone)]
pub struct Options {
    settings: BTreeMap<String, String>,
    tcp: bool,
}

/// The defaults; see [`Options::set`].
#[must_use]
pub fn options() -> Options {
    let defaults = [
        ("shared_buffers", "16MB"),
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
        ("max_wal_size", "256MB"),
        ("track_io_timing", "on"),
        ("shared_preload_libraries", "pg_stat_statements"),
        ("log_timezone", "UTC"),
        ("timezone", "UTC"),
    ];
    Options { settings: defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), tcp: false }
}

impl Options {
    /// One line of `postgresql.conf`, for example `max_connections` and `40`; a name that this server does not know keeps it
    /// from starting.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }

    /// Also listens on a free port of 127.0.0.1, where everybody on this machine is trusted.
    #[must_use]
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// The text of the settings.
    fn conf(&self, socket: &Path, port: u16) -> String {
        let listen = if self.tcp { "127.0.0.1" } else { "" };
        let own = [
            ("port", port.to_string()),
            ("listen_addresses", listen.to_owned()),
            ("unix_socket_directories", socket.display().to_string()),
        ];
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let all = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(own);
        all.map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''"))).collect()
    }
}

/// A running cluster. Dropping it stops the server and removes all its files.
///
/// What starts and stops it blocks the calling thread, for a second or so.
#[derive(Debug)]
pub struct Cluster {
    binaries: Binaries,
    owner: Owner,
    home: PathBuf,
    port: u16,
    tcp: bool,
    _keeper: Keeper,
}

impl Cluster {
    /// Makes and starts a cluster; takes about a second.
    ///
    /// # Errors
    /// When the folder cannot be made, the server user cannot get at the binaries, or a program of PostgreSQL fails; what it
    /// said is in the error.
    pub fn start(binaries: &Binaries, options: &Options) -> Result<Self, Error> {
        let base = base();
        let home = tempfile::Builder::new().prefix("pgs-").tempdir_in(&base).map_err(Error::file(&base))?;
        let owner = Owner::of(home.path())?;
        owner.give(home.path())?;
        // From here on the keeper removes the folder.
        let keeper = Keeper::set(binaries, &owner, home.path())?;
        let mut cluster = Self { binaries: binaries.clone(), owner, home: home.keep(), port: 5432, tcp: options.tcp, _keeper: keeper };
        cluster.reach()?;
        cluster.initdb()?;
        cluster.first_start(options)?;
        Ok(cluster)
    }

    /// The binaries that it runs.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The folder of its socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.home
    }

    /// Its data folder, for tests that look at or change files.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Its port: of the socket's name, and of 127.0.0.1 where it listens there.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A keyword DSN through the socket.
    #[must_use]
    pub fn dsn(&self, database: &str, user: &str) -> String {
        let quoted = |value: &str| format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
        format!("host={} port={} dbname={} user={}", self.home.display(), self.port, quoted(database), quoted(user))
    }

    /// A URL through 127.0.0.1; `None` where the cluster does not listen there. Names are letters, digits and `_` only.
    #[must_use]
    pub fn url(&self, database: &str, user: &str) -> Option<String> {
        self.tcp.then(|| format!("postgresql://{user}@127.0.0.1:{}/{database}", self.port))
    }

    /// How to connect with `tokio_postgres`, through the socket.
    #[must_use]
    pub fn config(&self, database: &str, user: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.home).port(self.port).dbname(database).user(user);
        config.connect_timeout(Duration::from_secs(10)).application_name("pgsteward-demo");
        config
    }

    /// Makes the role that a careful person would give us: it may log in and has `pg_monitor`, and nothing else.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create_steward(&self) -> Result<(), Error> {
        self.as_superuser("CREATE ROLE steward LOGIN; GRANT pg_monitor TO steward", "the role `steward`").await
    }

    /// Lets [`STEWARD`] read every table too, as bloat estimates and sequences need.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn grant_reading(&self) -> Result<(), Error> {
        self.as_superuser("GRANT pg_read_all_data TO steward", "a grant to `steward`").await
    }

    async fn as_superuser(&self, sql: &str, what: &'static str) -> Result<(), Error> {
        let config = self.config("postgres", SUPERUSER);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.map_err(Error::server("a connection"))?;
        let pump = tokio::spawn(connection);
        let done = client.batch_execute(sql).await;
        drop(client);
        pump.abort();
        done.map_err(Error::server(what))
    }

    /// Stops the server: at once as in a crash (`immediate`), or after ending all sessions. The files stay for `restart`.
    ///
    /// # Errors
    /// When it does not stop, or is not running.
    pub fn stop(&self, immediate: bool) -> Result<(), Error> {
        self.pg_ctl(&["stop", "-m", if immediate { "immediate" } else { "fast" }, "-t", "30"])
    }

    /// Kills the postmaster with signal 9, as the kernel does when memory is short, and returns when it is gone.
    ///
    /// # Errors
    /// When it is not running, or does not die.
    pub fn kill_9(&self) -> Result<(), Error> {
        let file = self.data().join("postmaster.pid");
        let text = std::fs::read_to_string(&file).map_err(Error::file(&file))?;
        self.pg_ctl(&["kill", "KILL", text.lines().next().unwrap_or_default()])?;
        // A killed process is gone only a moment later.
        let gone = patiently(|| if self.pg_ctl(&["status"]).is_ok() { Err(()) } else { Ok(()) });
        gone.map_err(|()| Error::TooLong { what: "the end of a killed server", seconds: 5 })
    }

    /// Starts it again after `stop` or `kill_9`, or stops and starts it when it runs.
    ///
    /// # Errors
    /// When it does not come up; the end of its log is in the error.
    pub fn restart(&self) -> Result<(), Error> {
        if self.pg_ctl(&["status"]).is_ok() {
            self.stop(false)?;
        }
        // After a kill -9 the backends need a moment to notice; until then the server refuses to start.
        patiently(|| self.up())
    }

    /// Whether the server's user can run the binaries at all: the plain reason before a puzzling one.
    fn reach(&self) -> Result<(), Error> {
        let mut postgres = clean(self.binaries.bin.join("postgres"));
        let ran = run(self.owner.own(&mut postgres).arg("--version").current_dir(&self.home), LIMIT);
        if ran.is_ok_and(|ran| ran.ok) {
            return Ok(());
        }
        Err(Error::OutOfReach { user: self.owner.name().into(), bin: self.binaries.bin.clone() })
    }

    fn initdb(&self) -> Result<(), Error> {
        let data = self.data();
        let args = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", SUPERUSER, "--pgdata"];
        self.program("initdb", |command| command.args(args).arg(&data))
    }

    /// The first start, on a port that nobody has; a build without pg_stat_statements starts without.
    fn first_start(&mut self, options: &Options) -> Result<(), Error> {
        let mut options = options.clone();
        let mut last = Ok(());
        for _ in 0..3 {
            if self.tcp {
                self.port = free_port()?;
            }
            // The folder is on the way to the socket, so it holds the settings as well: `data` is the server's.
            let conf = self.home.join("demo.conf");
            std::fs::write(&conf, options.conf(&self.home, self.port)).map_err(Error::file(&conf))?;
            self.owner.give(&conf)?;
            self.include(&conf)?;
            last = self.up();
            match &last {
                Ok(()) => break,
                Err(error) if error.to_string().contains("pg_stat_statements") => {
                    options.settings.remove("shared_preload_libraries");
                }
                Err(_) => {}
            }
        }
        last
    }

    /// Replaces the cluster's settings by ours.
    fn include(&self, conf: &Path) -> Result<(), Error> {
        let file = self.data().join("postgresql.conf");
        std::fs::write(&file, format!("include '{}'\n", conf.display())).map_err(Error::file(&file))
    }

    /// Starts the server and waits until it answers.
    fn up(&self) -> Result<(), Error> {
        let log = self.home.join("log");
        std::fs::write(&log, "").map_err(Error::file(&log))?;
        self.owner.give(&log)?;
        let started =
            self.program("pg_ctl", |command| command.args(["start", "-w", "-t", "30", "-D"]).arg(self.data()).arg("-l").arg(&log));
        started.map_err(|error| match std::fs::read_to_string(&log) {
            Ok(text) if !text.trim().is_empty() => {
                Error::Program { program: "postgres".into(), said: super::run::Ran { ok: false, said: text }.reason() }
            }
            _ => error,
        })
    }

    fn pg_ctl(&self, args: &[&str]) -> Result<(), Error> {
        // `kill` takes no data folder.
        let data = (args.first() != Some(&"kill")).then(|| self.data());
        self.program("pg_ctl", |command| command.args(args).args(data.iter().flat_map(|data| ["-D".as_ref(), data.as_os_str()])))
    }

    /// Runs one of the binaries as the owner, in the cluster's folder.
    fn program(&self, name: &str, args: impl FnOnce(&mut std::process::Command) -> &mut std::process::Command) -> Result<(), Error> {
        let failed = |said: String| Error::Program { program: name.to_owned(), said };
        let mut command = clean(self.binaries.bin.join(name));
        let ran = run(self.owner.own(args(&mut command)).current_dir(&self.home), LIMIT).map_err(|error| failed(error.to_string()))?;
        if ran.ok { Ok(()) } else { Err(failed(ran.reason())) }
    }
}

/// The shell that cleans up when we let go of its pipe, for whatever reason.
#[derive(Debug)]
struct Keeper(Child);

impl Keeper {
    /// In a process group of its own, so that Ctrl-C in a terminal does not reach it.
    fn set(binaries: &Binaries, owner: &Owner, home: &Path) -> Result<Self, Error> {
        let mut shell = clean("sh");
        owner.own(&mut shell).args(["-c", KEEPER, "pgsteward-keeper"]).arg(binaries.bin.join("pg_ctl")).arg(home);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).current_dir("/");
        Ok(Self(shell.spawn().map_err(Error::file("sh"))?))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Its own steps are bounded, and what it could not do nobody here can do better.
        drop(self.0.wait());
    }
}

/// A folder for clusters that is short and open to the server's user.
fn base() -> PathBuf {
    use std::os::unix::fs::MetadataExt;
    let own = std::env::temp_dir();
    let sticky = std::fs::metadata(&own).is_ok_and(|folder| folder.mode() & 0o1777 == 0o1777);
    let ours = std::fs::metadata(&own).is_ok_and(|folder| folder.uid() != 0);
    if own.as_os_str().len() <= LONGEST && (sticky || ours) { own } else { PathBuf::from("/tmp") }
}

/// Tries until it works, for some five seconds.
fn patiently<E>(mut attempt: impl FnMut() -> Result<(), E>) -> Result<(), E> {
    let mut last = attempt();
    for _ in 0..20 {
        if last.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(250));
        last = attempt();
    }
    last
}

fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    Ok(listener.map_err(Error::file("127.0.0.1"))?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_quoted_and_our_own_come_last() {
        let conf = options().set("cluster_name", "it's").set("port", 1).tcp().conf(Path::new("/tmp/x"), 7);
        assert!(conf.contains("cluster_name = 'it''s'\n"), "{conf}");
        assert!(conf.ends_with("port = '7'\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '/tmp/x'\n"), "{conf}");
    }

    #[test]
    fn nothing_listens_on_the_network_unless_asked() {
        assert!(options().conf(Path::new("/tmp/x"), 5432).contains("listen_addresses = ''\n"));
    }

    #[test]
    fn a_socket_fits_below_the_base_folder() {
        assert!(base().as_os_str().len() + "/pgs-abcdef/.s.PGSQL.65535.lock".len() <= 103);
    }
}
