//! Finds PostgreSQL server binaries on this machine, and says why others were left out.
//!
//! A folder counts when it holds `postgres`, `initdb` and `pg_ctl` and its `postgres --version` answers. The newest
//! major wins; among equals the earlier place: `PATH`, the usual folders, our own cache. Links are resolved first,
//! since a server finds its libraries beside its real place.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::run::{clean, run};

/// The oldest major that is used unless it is asked for by number.
pub const OLDEST: u32 = 14;
/// What a folder must hold.
const PROGRAMS: [&str; 3] = ["postgres", "initdb", "pg_ctl"];
/// Folders that hold one folder a version, and where in it the binaries are.
const USUAL: [(&str, &str); 7] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr", "bin"),
    ("/usr/local", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
];

/// Where to look, and for what.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Only this folder, when a person named one.
    pub explicit: Option<PathBuf>,
    /// The value of `PATH`.
    pub path: Option<OsString>,
    /// Our own cache, which `fetch` fills; empty for none.
    pub cache: PathBuf,
    /// Only this major version.
    pub want: Option<u32>,
}

impl Search {
    /// A search of this process' `PATH` and cache, for a certain major or any.
    #[must_use]
    pub fn here(want: Option<u32>) -> Self {
        Self { explicit: None, path: std::env::var_os("PATH"), cache: super::fetch::cache(), want }
    }
}

/// A folder of server binaries that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder.
    pub bin: PathBuf,
    /// Major version.
    pub major: u32,
    /// The version as the server says it, for example `15.18`.
    pub version: String,
}

/// A folder that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The folder.
    pub bin: PathBuf,
    /// Why: a lower-case fragment.
    pub why: String,
}

/// What a search found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The best.
    pub best: Option<Binaries>,
    /// All others that looked like a server at first.
    pub left_out: Vec<LeftOut>,
}

/// Looks everywhere that `search` names.
#[must_use]
pub fn find(search: &Search) -> Found {
    let (mut fit, mut left_out) = (Vec::new(), Vec::new());
    for bin in candidates(search) {
        match probe(&bin).and_then(|binaries| fits(binaries, search)) {
            Ok(binaries) => fit.push(binaries),
            Err(why) => left_out.push(LeftOut { bin, why }),
        }
    }
    fit.sort_by_key(|binaries: &Binaries| std::cmp::Reverse(binaries.major));
    let mut fit = fit.into_iter();
    let best = fit.next();
    if let Some(best) = &best {
        left_out.extend(fit.map(|other| LeftOut { why: format!("{} is not newer than {}", other.version, best.version), bin: other.bin }));
    }
    Found { best, left_out }
}

/// Asks the binaries of a folder who they are.
///
/// # Errors
/// Why the folder cannot be used: a lower-case fragment.
pub fn probe(bin: &Path) -> Result<Binaries, String> {
    if let Some(missing) = PROGRAMS.iter().find(|program| !bin.join(program).is_file()) {
        return Err(format!("has no `{missing}`"));
    }
    let ran = run(clean(bin.join("postgres")).arg("--version"), Duration::from_secs(10))
        .map_err(|error| format!("`postgres` does not start: {error}"))?;
    let (major, version) = ran.said.lines().find_map(version).ok_or_else(|| format!("`postgres --version` says `{}`", ran.reason()))?;
    Ok(Binaries { bin: bin.to_owned(), major, version })
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0)` -> 15 and `15.18`.
fn version(line: &str) -> Option<(u32, String)> {
    let word = line.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?;
    let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, word.to_owned()))
}

fn fits(binaries: Binaries, search: &Search) -> Result<Binaries, String> {
    match search.want {
        Some(want) if want != binaries.major => Err(format!("is {}, and {want} is wanted", binaries.version)),
        None if binaries.major < OLDEST && search.explicit.is_none() => Err(format!("{} is older than {OLDEST}", binaries.version)),
        _ => Ok(binaries),
    }
}

/// Folders that look like a server, each once, in order of preference.
fn candidates(search: &Search) -> Vec<PathBuf> {
    if let Some(folder) = &search.explicit {
        return vec![folder.clone()];
    }
    let path = search.path.iter().flat_map(std::env::split_paths);
    let usual = USUAL.iter().flat_map(|(above, below)| versions(Path::new(above)).into_iter().map(move |folder| folder.join(below)));
    let cached = folders(&search.cache).into_iter().map(|folder| folder.join("bin"));
    let mut all = Vec::new();
    for bin in path.chain(usual).chain(cached).map(|folder| real(&folder)) {
        if bin.join("postgres").is_file() && !all.contains(&bin) {
            all.push(bin);
        }
    }
    all
}

/// The folder where the `postgres` of this folder really is; itself when that one is not complete (a wrapper).
pub(super) fn real(folder: &Path) -> PathBuf {
    let complete = |bin: &Path| PROGRAMS.iter().all(|program| bin.join(program).is_file());
    let target = folder.join("postgres").canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned));
    target.filter(|bin| complete(bin)).unwrap_or_else(|| folder.to_owned())
}

/// The folders below `above` that are named after a version: `15`, `pgsql-15`, `postgresql@15`, `latest`.
fn versions(above: &Path) -> Vec<PathBuf> {
    let named = |folder: &PathBuf| {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("pgsql") || name.starts_with("postgresql") || name == "latest" || name.starts_with(|c: char| c.is_ascii_digit())
    };
    folders(above).into_iter().filter(named).collect()
}

/// The folders below `above`, sorted so that the answer does not depend on the file system; hidden ones are work in progress.
fn folders(above: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(above).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A folder whose `postgres` only knows its version.
    fn server(above: &Path, name: &str, says: &str) -> PathBuf {
        let bin = above.join(name).join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        for program in PROGRAMS {
            let file = bin.join(program);
            std::fs::write(&file, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        bin
    }

    /// A search that sees nothing of the machine but `cache`; the usual folders are there nonetheless.
    fn only(cache: &Path, want: u32) -> Search {
        Search { cache: cache.to_owned(), want: Some(want), ..Search::default() }
    }

    #[test]
    fn reads_versions_as_packagers_write_them() {
        assert_eq!(version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some((15, "15.18".into())));
        assert_eq!(version("postgres (PostgreSQL) 19devel"), Some((19, "19devel".into())));
        assert_eq!(version("postgres (EnterpriseDB)"), None);
        assert_eq!(version("postgres (PostgreSQL) 99999999999.1"), None);
    }

    #[test]
    fn takes_the_wanted_major_and_says_why_not_the_others() {
        let home = tempfile::tempdir().unwrap();
        let old = server(home.path(), "a", "postgres (PostgreSQL) 95.2");
        let new = server(home.path(), "b", "postgres (PostgreSQL) 96.1");
        let odd = server(home.path(), "c", "I am a shell");
        let found = find(&only(home.path(), 96));
        assert_eq!(found.best, Some(Binaries { bin: new, major: 96, version: "96.1".into() }));
        assert!(found.left_out.contains(&LeftOut { bin: old, why: "is 95.2, and 96 is wanted".into() }));
        assert!(found.left_out.contains(&LeftOut { bin: odd, why: "`postgres --version` says `I am a shell`".into() }));
    }

    #[test]
    fn the_newest_wins_and_half_a_server_does_not_count() {
        let home = tempfile::tempdir().unwrap();
        server(home.path(), "a", "postgres (PostgreSQL) 97.2");
        let half = server(home.path(), "b", "postgres (PostgreSQL) 98.1");
        std::fs::remove_file(half.join("initdb")).unwrap();
        let found = find(&Search { cache: home.path().to_owned(), ..Search::default() });
        assert_eq!(found.best.unwrap().version, "97.2");
        assert!(found.left_out.contains(&LeftOut { bin: half, why: "has no `initdb`".into() }));
    }

    #[test]
    fn a_link_in_path_leads_to_the_real_folder() {
        let home = tempfile::tempdir().unwrap();
        let bin = server(home.path(), "real", "postgres (PostgreSQL) 96.1").canonicalize().unwrap();
        let links = tempfile::tempdir().unwrap();
        symlink(bin.join("postgres"), links.path().join("postgres")).unwrap();
        let found = find(&Search { path: Some(links.path().into()), want: Some(96), ..Search::default() });
        assert_eq!(found.best.unwrap().bin, bin);
    }

    #[test]
    fn a_named_folder_is_the_only_place_and_may_be_old() {
        let home = tempfile::tempdir().unwrap();
        let bin = server(home.path(), "a", "postgres (PostgreSQL) 12.9");
        let search = Search { explicit: Some(bin.clone()), path: std::env::var_os("PATH"), ..Search::default() };
        assert_eq!(find(&search).best.unwrap().major, 12);
        let none = find(&Search { explicit: Some(home.path().to_owned()), ..search });
        assert_eq!(none.left_out, [LeftOut { bin: home.path().to_owned(), why: "has no `postgres`".into() }]);
    }
}
