//! A throw-away PostgreSQL: find or fetch the server binaries, start a cluster, make its database sick, keep it busy.
//!
//! `find` -> (`fetch`) -> `cluster` -> `sick`. The subcommand `demo` shows the product on it, and the tests against real
//! servers stand on the same ground. Runs on Unix only: a server must not run as root, and dropping to another user is
//! a matter of the platform. Deliberately absent: anything that talks to a person (progress goes to a callback), and
//! anything of the other rooms.

pub mod catch;
pub mod cluster;
mod error;
pub mod fetch;
pub mod find;
mod owner;
mod run;
pub mod sick;

pub use cluster::{Cluster, Options};
pub use error::Error;
pub use find::{Binaries, Found, LeftOut, Search};
pub use sick::{Sickness, Trouble};

/// Finds server binaries, and fetches them when none fit; `progress` is told what happens, a line at a time.
///
/// Blocks: on a machine without PostgreSQL for as long as a download of some 20 MB takes.
///
/// # Errors
/// When nothing fits and nothing can be fetched: the error says what was found and what was tried.
pub fn obtain(search: &Search, progress: &dyn Fn(&str)) -> Result<Binaries, Error> {
    let found = find::find(search);
    if let Some(best) = found.best {
        progress(&format!("found PostgreSQL {} in {}", best.version, best.bin.display()));
        return Ok(best);
    }
    for left in &found.left_out {
        progress(&format!("leaves out {}: {}", left.bin.display(), left.why));
    }
    if let Some(folder) = &search.explicit {
        return Err(Error::NothingIn { folder: folder.clone(), why: found.left_out.into_iter().map(|left| left.why).collect() });
    }
    fetch::fetch(search.want.unwrap_or(fetch::NEWEST), &search.cache, progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_folder_without_a_server_is_an_error_and_nothing_is_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let search = Search { explicit: Some(folder.path().to_owned()), ..Search::here(None) };
        let error = obtain(&search, &|_| ()).unwrap_err().to_string();
        let expected = format!("no usable PostgreSQL server in `{}`: has no `postgres`; ", folder.path().display());
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn says_what_it_leaves_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("postgres"), "").unwrap();
        let search = Search { path: Some(folder.path().into()), want: Some(9), ..Search::default() };
        let told = std::cell::RefCell::new(Vec::new());
        assert!(find::find(&search).best.is_none());
        let cache = folder.path().join("cache");
        let error = obtain(&Search { cache, ..search }, &|line| told.borrow_mut().push(line.to_owned())).unwrap_err();
        assert!(error.to_string().starts_with("no package with PostgreSQL 9 for "), "{error}");
        assert!(told.borrow().contains(&format!("leaves out {}: has no `initdb`", folder.path().display())));
    }
}
