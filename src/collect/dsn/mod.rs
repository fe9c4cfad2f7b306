//! Where a server is and how to log in: connection string, then configuration, service file and PG* variables, then
//! libpq's defaults, each standing in where the one before is silent.
//!
//! All are merged as one map of libpq's parameters and only then become `tokio_postgres::Config`s, one for each host.
//! Passwords from `~/.pgpass` are looked up when a session opens. Secrets stay inside: neither `Debug` nor `describe` nor
//! an error shows them. Absent: GSSAPI, CRLs, encrypted client keys; their parameters are refused rather than ignored.

mod conninfo;
mod hung;
mod passfile;
mod service;
mod surroundings;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;

pub(super) use passfile::open_to_others;
pub use surroundings::Surroundings;

use hung::Hung;

use self::conninfo::Params;
use super::clean::clean;
use super::tls::{TlsMode, TlsSettings};

/// Where servers put their sockets; libpq has one of these compiled in.
const DEFAULT_SOCKETS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// What is wrong with a connection string or a file that it names. Never echoes a value.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DsnError {
    #[error("connection string, character {at}: {what}")]
    Malformed { at: usize, what: &'static str },
    #[error("connection string: unknown parameter at character {at}{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownParameter { at: usize, nearest: Option<String> },
    #[error("`{name}` must be {expected}")]
    Invalid { name: String, expected: &'static str },
    #[error("service `{name}` is not in {looked_in}")]
    NoService { name: String, looked_in: String },
    #[error("service file `{file}`, line {line}: {what}")]
    ServiceLine { file: String, line: usize, what: &'static str },
    #[error("cannot read {what} `{path}`")]
    File { what: &'static str, path: String, source: FileError },
    #[error("`{path}` can be read by others; run `chmod {mode} {path}`")]
    Exposed { path: String, mode: &'static str },
}

/// Why a file could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct FileError(std::sync::Arc<std::io::Error>);

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        Self(error.into())
    }
}

/// Connection parameters that the configuration gives to targets whose string is silent about them, by libpq's names
/// (`user`, `password`, `sslmode`, `sslrootcert`, ...).
#[derive(Clone, Default)]
pub struct EndpointDefaults(BTreeMap<String, String>);

impl EndpointDefaults {
    /// Adds or replaces one parameter.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }
}

/// Names only: a password may be among the values.
impl fmt::Debug for EndpointDefaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EndpointDefaults").field(&self.0.keys()).finish()
    }
}

/// One place where the server may listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Host name, IP address or socket folder, as written: what a certificate and `~/.pgpass` are compared with.
    pub host: String,
    /// IP address to connect to instead of resolving the name.
    pub hostaddr: Option<std::net::IpAddr>,
    pub port: u16,
}

impl Address {
    /// Whether it is a socket of this machine.
    pub fn is_socket(&self) -> bool {
        self.host.starts_with('/') && self.hostaddr.is_none()
    }

    /// Whether it is this machine by its own name for itself. A tunnel may still end here.
    pub fn is_loopback(&self) -> bool {
        let address = self.hostaddr.or_else(|| self.host.parse().ok());
        self.is_socket() || address.map_or(self.host == "localhost", |ip| ip.is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = clean(&self.host);
        if host.contains(':') { write!(f, "[{host}]:{}", self.port) } else { write!(f, "{host}:{}", self.port) }
    }
}

/// A server to connect to, with the secrets for it.
#[derive(Clone)]
pub struct Endpoint {
    /// Everything but host, login and database; its `Debug` hides nothing that matters because no password is in it.
    base: Config,
    pub(super) addresses: Vec<Address>,
    pub(super) user: String,
    database: String,
    password: Option<String>,
    passfile: Option<PathBuf>,
    pub(super) tls: TlsSettings,
    /// From `connect_timeout`; the budget's holds when it is shorter.
    pub(super) connect_timeout: Option<Duration>,
    /// A login that was given up on, while the server still works on it.
    pub(super) hung: Hung,
}

impl Endpoint {
    /// Reads a connection string in either form of libpq; an empty one leaves all to the defaults.
    ///
    /// # Errors
    /// When the string, the service it names or a parameter from elsewhere cannot be read. No error shows a value.
    pub fn parse(dsn: &str, defaults: &EndpointDefaults, env: &Surroundings) -> Result<Self, DsnError> {
        let mut params = conninfo::parse(dsn)?;
        for (key, value) in &defaults.0 {
            if !params.contains_key(key) {
                conninfo::insert(&mut params, key, value.clone(), 0).map_err(|_| invalid(key, "a parameter that libpq knows"))?;
            }
        }
        if let Some(name) = params.remove("service").or_else(|| env.var("PGSERVICE").map(String::from)) {
            fill(&mut params, service::look_up(&name, env)?);
        }
        fill(&mut params, env.params().map(|(key, value)| (key.to_string(), value.to_string())).collect());
        Self::from_params(&params, env)
    }

    fn from_params(params: &Params, env: &Surroundings) -> Result<Self, DsnError> {
        let get = |key: &str| params.get(key).cloned();
        if get("gssencmode").is_some_and(|mode| mode == "require") {
            return Err(invalid("gssencmode", "`prefer` or `disable`: GSSAPI is not supported"));
        }
        let user = get("user").or_else(|| env.user.clone()).ok_or_else(|| invalid("user", "given: the login name is not known"))?;
        Ok(Self {
            base: base_config(params)?,
            addresses: addresses(params)?,
            database: get("dbname").unwrap_or_else(|| user.clone()),
            password: get("password"),
            passfile: get("passfile").map(PathBuf::from).or_else(|| env.at_home(".pgpass")),
            tls: tls_settings(params, env)?,
            connect_timeout: get("connect_timeout").map(|s| seconds(&s)).transpose()?.flatten(),
            user,
            hung: Hung::default(),
        })
    }

    /// Where and as whom, without any secret: `db.corp:5432/shop as mon`.
    #[must_use]
    pub fn describe(&self) -> String {
        let places: Vec<String> = self.addresses.iter().map(Address::to_string).collect();
        format!("{}/{} as {}", places.join(","), clean(&self.database), clean(&self.user))
    }

    /// The database that the string names.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// How to log in at one address and database, with the password for exactly that. A password file that may not be used
    /// is no error yet, as in libpq: the server may not ask for one. It is handed back for when it does.
    pub(super) fn login(&self, address: &Address, database: &str) -> (Config, Option<DsnError>) {
        let mut config = self.base.clone();
        config.user(&self.user).dbname(database).host(&address.host).port(address.port);
        if let Some(ip) = address.hostaddr {
            config.hostaddr(ip);
        }
        let login = passfile::Login { host: &address.host, port: address.port, database, user: &self.user };
        let found = match (&self.password, &self.passfile) {
            (Some(password), _) => Ok(Some(password.clone())),
            (None, Some(path)) => passfile::look_up(path, login),
            (None, None) => Ok(None),
        };
        if let Ok(Some(password)) = &found {
            config.password(password);
        }
        (config, found.err())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.describe()).finish()
    }
}

/// Takes what is not set yet. An address never joins a host that a stronger source names: it may be another machine.
fn fill(params: &mut Params, weaker: Params) {
    let has_host = params.contains_key("host");
    for (key, value) in weaker {
        if !(has_host && key == "hostaddr") {
            params.entry(key).or_insert(value);
        }
    }
}

fn invalid(name: &str, expected: &'static str) -> DsnError {
    DsnError::Invalid { name: name.to_string(), expected }
}

/// Parameters whose values `tokio_postgres` knows how to read.
const PASSED_ON: [(&str, &str); 10] = [
    ("channel_binding", "channel_binding"),
    ("keepalives", "keepalives"),
    ("keepalives_count", "keepalives_retries"),
    ("keepalives_idle", "keepalives_idle"),
    ("keepalives_interval", "keepalives_interval"),
    ("load_balance_hosts", "load_balance_hosts"),
    ("options", "options"),
    ("sslnegotiation", "sslnegotiation"),
    ("target_session_attrs", "target_session_attrs"),
    ("tcp_user_timeout", "tcp_user_timeout"),
];

fn base_config(params: &Params) -> Result<Config, DsnError> {
    let mut text = String::new();
    for (ours, theirs) in PASSED_ON {
        let Some(value) = params.get(ours) else { continue };
        let pair = format!("{theirs}='{}' ", value.replace('\\', r"\\").replace('\'', r"\'"));
        // Each alone first: the error would not say which one it is about.
        pair.parse::<Config>().map_err(|_| invalid(ours, "a value that this client supports"))?;
        text.push_str(&pair);
    }
    let mut config: Config = text.parse().map_err(|_| invalid("dsn", "readable"))?;
    let name = params.get("application_name").or_else(|| params.get("fallback_application_name"));
    config.application_name(match name {
        Some(theirs) if theirs.starts_with(super::MARKER) => theirs.clone(),
        Some(theirs) => format!("{} {theirs}", super::MARKER),
        None => super::MARKER.to_string(),
    });
    Ok(config)
}

fn addresses(params: &Params) -> Result<Vec<Address>, DsnError> {
    let list = |key: &str| params.get(key).map(|text| text.split(',').map(str::trim).map(String::from).collect::<Vec<_>>());
    let hostaddrs = list("hostaddr");
    let hosts = list("host").or_else(|| hostaddrs.clone()).unwrap_or_else(default_hosts);
    let ports = list("port").unwrap_or_default();
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err(invalid("port", "one number, or one for each host"));
    }
    if hostaddrs.as_ref().is_some_and(|addrs| addrs.len() != hosts.len()) {
        return Err(invalid("hostaddr", "one address for each host"));
    }
    let address = |(at, host): (usize, &String)| {
        let port = ports.get(at).or_else(|| ports.first()).filter(|port| !port.is_empty());
        let port = port.map_or(Ok(5432), |p| p.parse().map_err(|_| invalid("port", "a number from 1 to 65535")))?;
        let hostaddr = hostaddrs.as_ref().and_then(|addrs| addrs.get(at)).filter(|a| !a.is_empty());
        let hostaddr = hostaddr.map(|a| a.parse().map_err(|_| invalid("hostaddr", "an IP address"))).transpose()?;
        // libpq reads an empty host in a list as the default one.
        let host =
            if host.is_empty() { hostaddr.map_or("localhost".to_string(), |ip: std::net::IpAddr| ip.to_string()) } else { host.clone() };
        if port == 0 {
            return Err(invalid("port", "a number from 1 to 65535"));
        }
        Ok(Address { host, hostaddr, port })
    };
    hosts.iter().enumerate().map(address).collect()
}

/// The sockets first, as libpq does, then the loopback for servers in containers.
fn default_hosts() -> Vec<String> {
    let sockets = if cfg!(unix) { &DEFAULT_SOCKETS[..] } else { &[] };
    sockets.iter().copied().chain(["localhost"]).map(String::from).collect()
}

fn tls_settings(params: &Params, env: &Surroundings) -> Result<TlsSettings, DsnError> {
    let get = |key: &str| params.get(key).map(String::as_str);
    let root = get("sslrootcert");
    let mode = match get("sslmode") {
        Some(word) => {
            TlsMode::parse(word).ok_or_else(|| invalid("sslmode", "disable, allow, prefer, require, verify-ca or verify-full"))?
        }
        None if root == Some("system") => TlsMode::VerifyFull,
        None => TlsMode::Prefer,
    };
    if root == Some("system") && mode != TlsMode::VerifyFull {
        return Err(invalid("sslmode", "verify-full where `sslrootcert` is `system`"));
    }
    let at_home = |file: &str| env.at_home(".postgresql").map(|dir| dir.join(file)).filter(|path| path.is_file());
    Ok(TlsSettings {
        mode,
        root: match root {
            Some("system") => None,
            Some(path) => Some(PathBuf::from(path)),
            None => at_home("root.crt"),
        },
        cert: get("sslcert").map(PathBuf::from).or_else(|| at_home("postgresql.crt")),
        key: get("sslkey").map(PathBuf::from).or_else(|| at_home("postgresql.key")),
    })
}

/// libpq: zero and negative mean no limit.
fn seconds(text: &str) -> Result<Option<Duration>, DsnError> {
    let seconds: i64 = text.trim().parse().map_err(|_| invalid("connect_timeout", "a number of seconds"))?;
    Ok(u64::try_from(seconds).ok().filter(|s| *s > 0).map(Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Surroundings {
        let mut env = Surroundings::of(vars.iter().copied());
        env.user = Some("os_user".into());
        env
    }

    fn parse(dsn: &str, vars: &[(&str, &str)]) -> Endpoint {
        Endpoint::parse(dsn, &EndpointDefaults::default(), &env(vars)).unwrap()
    }

    fn error(dsn: &str) -> String {
        Endpoint::parse(dsn, &EndpointDefaults::default(), &env(&[])).unwrap_err().to_string()
    }

    #[test]
    fn silent_parameters_come_from_configuration_service_environment_and_libpqs_defaults_in_that_order() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("services");
        std::fs::write(&file, "[s]\nuser=from_service\nport=6000\nhost=from_service\n").unwrap();
        let file = file.display().to_string();
        let env = env(&[("PGSERVICEFILE", file.as_str()), ("PGUSER", "from_env"), ("PGPORT", "7000"), ("PGDATABASE", "from_env")]);
        let defaults = EndpointDefaults::default().with("user", "from_config");
        let endpoint = Endpoint::parse("service=s host=from_dsn", &defaults, &env).unwrap();
        assert_eq!(endpoint.describe(), "from_dsn:6000/from_env as from_config");
    }

    #[test]
    fn an_empty_string_means_the_local_server_and_the_login_name() {
        let endpoint = parse("", &[]);
        assert_eq!(endpoint.describe(), "/var/run/postgresql:5432,/tmp:5432,localhost:5432/os_user as os_user");
        assert!(endpoint.addresses.iter().all(Address::is_loopback));
    }

    #[test]
    fn an_address_from_the_environment_never_joins_a_host_that_the_string_names() {
        assert_eq!(parse("host=db", &[("PGHOSTADDR", "10.0.0.1")]).addresses[0].hostaddr, None);
        assert_eq!(parse("hostaddr=10.0.0.1", &[]).describe(), "10.0.0.1:5432/os_user as os_user");
    }

    #[test]
    fn secrets_show_nowhere() {
        let endpoint = parse("postgres://mon:hunter2@db/shop", &[("PGPASSWORD", "hunter3")]);
        let (config, _) = endpoint.login(&endpoint.addresses[0], "shop");
        assert_eq!(config.get_password(), Some("hunter2".as_bytes()));
        let shown =
            format!("{endpoint:?} {} {config:?} {:?}", endpoint.describe(), EndpointDefaults::default().with("password", "hunter2"));
        assert!(!shown.contains("hunter"), "{shown}");
        for broken in [
            "host=db password=hunter2 port=x",
            "host=db password=hunter2 sslmode=yes",
            "host=db password=hunter2 x",
            "postgres://u:hunter2@db:99999/x",
        ] {
            assert!(!error(broken).contains("hunter2"));
        }
    }

    #[test]
    fn values_that_make_no_sense_are_named_with_what_would() {
        assert_eq!(error("host=a port=0"), "`port` must be a number from 1 to 65535");
        assert_eq!(error("host=a,b port=1,2,3"), "`port` must be one number, or one for each host");
        assert_eq!(error("sslmode=verify_full"), "`sslmode` must be disable, allow, prefer, require, verify-ca or verify-full");
        assert_eq!(error("sslmode=require sslrootcert=system"), "`sslmode` must be verify-full where `sslrootcert` is `system`");
        assert_eq!(error("channel_binding=maybe"), "`channel_binding` must be a value that this client supports");
        assert_eq!(error("service=nowhere").split(" in ").next(), Some("service `nowhere` is not"));
    }

    #[cfg(unix)]
    #[test]
    fn every_database_has_its_own_line_in_the_password_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pgpass");
        std::fs::write(&file, "db:5432:a:mon:pa\ndb:5432:b:mon:pb\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let endpoint = parse("host=db user=mon", &[("PGPASSFILE", &file.display().to_string())]);
        let password = |database| endpoint.login(&endpoint.addresses[0], database).0.get_password().map(<[u8]>::to_vec);
        assert_eq!((password("a"), password("b"), password("c")), (Some(b"pa".to_vec()), Some(b"pb".to_vec()), None));
    }

    #[test]
    fn sessions_are_always_marked() {
        let name = |dsn| parse(dsn, &[]).base.get_application_name().map(String::from);
        assert_eq!(name("host=a").as_deref(), Some("pgsteward"));
        assert_eq!(name("host=a application_name=cron").as_deref(), Some("pgsteward cron"));
    }
}
