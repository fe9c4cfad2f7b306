//! Makes sure that PostgreSQL server binaries of the given majors are on this machine: `fetch_pg 14 15 16 17 18`.
//!
//! `./test` runs it first, so that no test has to download anything in its own time.
#![expect(clippy::print_stdout, reason = "it talks to the person who runs the tests")]

use anyhow::Context as _;
use pgsteward::demo::{Search, obtain};

fn main() -> anyhow::Result<()> {
    for major in std::env::args().skip(1) {
        let wanted = major.parse().with_context(|| format!("`{major}` is no major version of PostgreSQL"))?;
        let binaries = obtain(&Search::here(Some(wanted)), &|line| {
            if !line.starts_with("leaves out ") && !line.starts_with("found ") {
                println!("   {line}");
            }
        })?;
        println!("   PostgreSQL {major}: {} in {}", binaries.version, binaries.bin.display());
    }
    Ok(())
}
