//! `plugin compile`: the child process that turns one component into machine code under limits of its own. Hidden: the
//! program calls it.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::plugin::compile_file;

/// Compile one component (used by pgsteward itself)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The component
    from: PathBuf,
    /// Where its machine code goes
    to: PathBuf,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    compile_file(&args.from, &args.to)?;
    Ok(ExitCode::SUCCESS)
}
