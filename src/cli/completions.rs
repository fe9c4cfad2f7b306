//! `completions`: the script that a shell needs to complete this program's arguments.

use std::process::ExitCode;

use clap::CommandFactory;

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "pgsteward", &mut script);
    super::term::out(&String::from_utf8_lossy(&script));
    Ok(ExitCode::SUCCESS)
}
