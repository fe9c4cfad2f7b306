//! `plugin dev`: builds, tests and evaluates at each save, for the window beside the editor.
//!
//! A folder is looked at every 300 ms instead of asking the system for news of it: it is small, and it works on every
//! file system.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use super::super::rules::run_tests;
use super::super::shared::{explain, show_problems};
use super::super::term::{self, DIM, severity_style, styled};
use super::author::{self, Desk, show};
use super::build::{project, told};
use crate::app::report::exit;
use crate::collect::Sample;
use crate::env::Env;
use crate::model::Severity;
use crate::plugin::{Language, Tools};

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// What builds leave in the folder.
const LEFT_BEHIND: [&str; 5] = ["Cargo.lock", "__pycache__", "node_modules", "plugin.wasm", "target"];

/// Build and test a plugin at each save, and show what it finds in a snapshot
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The project's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// A file made by `pgsteward collect --out FILE` to evaluate the plugin on
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Do it once and end
    #[arg(long)]
    once: bool,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    Language::of_folder(&args.dir)?;
    let tools = Tools::of(&Env::real())?;
    let sample = args.snapshot.as_deref().map(Sample::read).transpose()?;
    if args.once {
        return turn(&args.dir, &tools, sample.as_ref());
    }
    loop {
        let seen = files(&args.dir);
        if std::io::stdout().is_terminal() {
            term::out("\x1b[2J\x1b[3J\x1b[H");
        }
        if let Err(error) = turn(&args.dir, &tools, sample.as_ref()) {
            let word = styled(severity_style(Severity::Critical), "error");
            term::err(&format!("{word}: {}\n", explain(&error)));
        }
        term::out(&styled(DIM, "waiting for the next save; Ctrl-C ends\n"));
        let saved = saved(&args.dir, &seen);
        term::out(&styled(DIM, &format!("\n{saved}\n")));
    }
}

/// One round: build, test, evaluate.
fn turn(folder: &Path, tools: &Tools, sample: Option<&Sample>) -> anyhow::Result<ExitCode> {
    let built = project(folder, tools)?;
    term::out(&format!("{}\n", told(&built)));
    let desk = author::open(folder)?;
    show_problems(desk.rules.problems.iter(), &[].into());
    let code = if desk.tests.is_empty() && desk.rules.problems.is_empty() {
        term::out("no test: write `<rule>.test.yaml` into the folder\n");
        ExitCode::from(exit::WARNING)
    } else {
        run_tests(&desk.rules, &desk.tests, false)?
    };
    if let Some(sample) = sample {
        evaluate(&desk, sample)?;
    }
    Ok(code)
}

fn evaluate(desk: &Desk, sample: &Sample) -> anyhow::Result<()> {
    for rule in desk.described()?.rules {
        let trace = rule.trace(&author::input(&rule, sample));
        term::out(&format!("\n{}{}", show::shortly(&crate::rules::Rule::meta(&rule).id, &trace.outcome), show::log(&trace.log)));
    }
    Ok(())
}

/// The files that a person may save, with what tells that they did.
type Files = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Links are not followed: they may lead in a circle.
            let Ok(meta) = entry.metadata() else { continue };
            if LEFT_BEHIND.contains(&name.as_str()) || name.starts_with('.') {
                continue;
            } else if meta.is_dir() {
                folders.push(entry.path());
            } else {
                found.insert(entry.path(), (meta.modified().ok(), meta.len()));
            }
        }
    }
    found
}

/// Waits for another state than this one that has stood still for a look, since editors write in several steps. Names
/// what was saved.
fn saved(folder: &Path, seen: &Files) -> String {
    let mut last = seen.clone();
    loop {
        std::thread::sleep(LOOK);
        let now = files(folder);
        if now != *seen && now == last {
            return changed(seen, &now);
        }
        last = now;
    }
}

fn changed(before: &Files, after: &Files) -> String {
    let names = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path));
    let mut names: Vec<String> = names.map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
    names.sort();
    names.dedup();
    crate::text::safe(&names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_is_seen_and_what_a_build_leaves_is_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("target/release")).unwrap();
        std::fs::create_dir(folder.path().join("src")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("src/lib.rs", "1");
        let before = files(folder.path());
        for left in ["plugin.wasm", "target/release/x.wasm", "Cargo.lock", ".lib.rs.swp"] {
            write(left, "built");
        }
        assert_eq!(files(folder.path()), before);
        write("src/lib.rs", "12");
        write("new.test.yaml", "");
        assert_eq!(changed(&before, &files(folder.path())), "lib.rs, new.test.yaml");
        std::fs::remove_file(folder.path().join("src/lib.rs")).unwrap();
        assert_eq!(changed(&before, &files(folder.path())), "lib.rs, new.test.yaml");
    }

    #[test]
    fn what_changes_while_a_round_runs_begins_the_next() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("main.c"), "1").unwrap();
        let seen = files(folder.path());
        std::fs::write(folder.path().join("main.c"), "12").unwrap();
        assert_eq!(saved(folder.path(), &seen), "main.c");
    }
}
