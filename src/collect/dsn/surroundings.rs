//! What the process' surroundings say about connections: PG* variables, the home folder, the login name.
//!
//! Taken once and passed as a value, so that tests choose their own. Only what libpq reads is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The surroundings that stand in where a connection string is silent.
#[derive(Clone, Default)]
pub struct Surroundings {
    vars: BTreeMap<String, String>,
    /// Home folder, for `~/.pgpass`, `~/.pg_service.conf` and `~/.postgresql/`.
    pub home: Option<PathBuf>,
    /// Login name of the person or service that runs the process.
    pub user: Option<String>,
}

/// libpq's variables and the parameters that they set.
const VARIABLES: [(&str, &str); 17] = [
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGDATABASE", "dbname"),
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
    ("PGOPTIONS", "options"),
    ("PGPASSFILE", "passfile"),
    ("PGPASSWORD", "password"),
    ("PGPORT", "port"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGUSER", "user"),
];

impl Surroundings {
    /// The surroundings of this process. Variables that are not UTF-8 are left out.
    #[must_use]
    pub fn of_process() -> Self {
        let all = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self { user: whoami::username().ok(), home: std::env::home_dir(), ..Self::of(all.filter(|(k, _)| k.starts_with("PG"))) }
    }

    /// Surroundings with these variables and nothing else.
    pub fn of<K: Into<String>, V: Into<String>>(vars: impl IntoIterator<Item = (K, V)>) -> Self {
        let vars = vars.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self { vars, home: None, user: None }
    }

    /// One variable, unless empty.
    pub(super) fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A file below the home folder.
    pub(super) fn at_home(&self, file: impl AsRef<Path>) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(file))
    }

    /// The connection parameters that variables set.
    pub(super) fn params(&self) -> impl Iterator<Item = (&'static str, &str)> {
        VARIABLES.into_iter().filter_map(|(variable, key)| Some((key, self.var(variable)?)))
    }
}

/// Names only: PGPASSWORD is among the values.
impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("vars", &self.vars.keys()).field("home", &self.home).field("user", &self.user).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_parameters_and_debug_hides_their_values() {
        let env = Surroundings::of([("PGHOST", "db"), ("PGPASSWORD", "hunter2"), ("PGPORT", "")]);
        assert_eq!(env.params().collect::<Vec<_>>(), [("host", "db"), ("password", "hunter2")]);
        assert!(!format!("{env:?}").contains("hunter2"));
    }
}
