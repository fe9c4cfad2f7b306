//! A throw-away PostgreSQL: find or fetch the server binaries, start a cluster, make its database sick, keep it busy.
//!
//! `find` -> (`fetch`) -> `cluster` -> `sick`. The subcommand `demo` shows the product on it, and the tests against real
//! servers stand on the same ground. Runs on Unix only: a server must not run as root, and dropping to another user is
//! a matter of the platform. Deliberately absent: anything that talks to a person (progress goes to a callback), and
//! anything of the other rooms.

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
    for left in &found.left_out {
        progress(&format!("leaves out {}: {}", left.bin.display(), left.why));
    }
    if let Some(best) = found.best {
        progress(&format!("found PostgreSQL {} in {}", best.version, best.bin.display()));
        return Ok(best);
    }
    if let Some(folder) = &search.explicit {
        return Err(Error::NothingIn { folder: folder.clone(), why: found.left_out.into_iter().map(|left| left.why).collect() });
    }
    fetch::fetch(search.want.unwrap_or(fetch::NEWEST), &search.cache, progress)
}
