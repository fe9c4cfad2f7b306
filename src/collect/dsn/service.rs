//! The connection service file: `[name]` sections of `key=value` lines, named by `service=` or PGSERVICE.
//!
//! Looked for in PGSERVICEFILE, else `~/.pg_service.conf`; then in `pg_service.conf` of PGSYSCONFDIR or of Debian's folder.

use std::path::{Path, PathBuf};

use super::conninfo::{self, Params};
use super::{DsnError, Surroundings};

/// Where distributions compile the system-wide file in; libpq does not tell.
const SYSTEM_DIR: &str = "/etc/postgresql-common";

/// The parameters of a service.
///
/// # Errors
/// When no file has the service, or its section cannot be read.
pub(super) fn look_up(name: &str, env: &Surroundings) -> Result<Params, DsnError> {
    let own = env.var("PGSERVICEFILE").map(PathBuf::from).or_else(|| env.at_home(".pg_service.conf"));
    let system = Path::new(env.var("PGSYSCONFDIR").unwrap_or(SYSTEM_DIR)).join("pg_service.conf");
    let files: Vec<PathBuf> = own.into_iter().chain([system]).collect();
    for file in files.iter().filter(|file| file.is_file()) {
        let text = std::fs::read_to_string(file).map_err(|source| DsnError::File {
            what: "service file",
            path: file.display().to_string(),
            source: source.into(),
        })?;
        if let Some(params) = section(&text, name, file)? {
            return Ok(params);
        }
    }
    let looked_in = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" and ");
    Err(DsnError::NoService { name: name.to_string(), looked_in })
}

/// The section of that name; `None` when the file does not have it.
fn section(text: &str, name: &str, file: &Path) -> Result<Option<Params>, DsnError> {
    let mut found: Option<Params> = None;
    for (number, line) in text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let bad = |what| DsnError::ServiceLine { file: file.display().to_string(), line: number + 1, what };
        if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if found.is_some() {
                break;
            }
            found = (title == name).then(Params::new);
        } else if let Some(params) = &mut found {
            let (key, value) = line.split_once('=').ok_or_else(|| bad("no `=`"))?;
            let key = key.trim();
            if key == "service" {
                return Err(bad("a service cannot name another one"));
            }
            conninfo::insert(params, key, value.trim().to_string(), 0).map_err(|_| bad("an unknown parameter"))?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# ours\n[dev]\nhost=a\n\n[dev7]\nhost = db7.corp\nport=6432\nuser=mon\n[bad]\nhosst=x\n";

    #[test]
    fn a_section_holds_its_own_lines_only() {
        let params = section(FILE, "dev7", Path::new("f")).unwrap().unwrap();
        assert_eq!(
            params.into_iter().collect::<Vec<_>>(),
            [("host", "db7.corp"), ("port", "6432"), ("user", "mon")].map(|(k, v)| (k.to_string(), v.to_string()))
        );
        assert_eq!(section(FILE, "dev9", Path::new("f")).unwrap(), None);
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(section(FILE, "bad", Path::new("f")).unwrap_err().to_string(), "service file `f`, line 10: an unknown parameter");
    }

    #[test]
    fn the_users_file_comes_before_the_systems() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pg_service.conf"), "[a]\nhost=system\n[b]\nhost=system\n").unwrap();
        std::fs::write(dir.path().join("own"), "[a]\nhost=own\n").unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let env = Surroundings::of([("PGSERVICEFILE", path("own")), ("PGSYSCONFDIR", dir.path().display().to_string())]);
        assert_eq!(look_up("a", &env).unwrap()["host"], "own");
        assert_eq!(look_up("b", &env).unwrap()["host"], "system");
        assert!(look_up("c", &env).unwrap_err().to_string().starts_with("service `c` is not in "));
    }
}
