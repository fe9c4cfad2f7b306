//! `plugin test`: a plugin's own tests, in the sandbox, in the format of every rule.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use super::super::rules::run_tests;
use super::super::shared::show_problems;
use super::author;

/// Run a plugin's tests in the sandbox, in the format of every rule's tests
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A plugin file, or the folder of its project
    path: PathBuf,
    /// More test files
    tests: Vec<PathBuf>,
    /// Show passed cases too
    #[arg(long, short)]
    verbose: bool,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let desk = author::open(&args.path)?;
    show_problems(desk.rules.problems.iter(), &[].into());
    let mut tests = desk.tests;
    tests.extend(author::read_tests(&args.tests)?);
    if tests.is_empty() {
        bail!("there is no test: write `<rule>.test.yaml` into the plugin's folder");
    }
    run_tests(&desk.rules, &tests, args.verbose)
}
