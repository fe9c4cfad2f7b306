//! `plugin componentize`: a core module that some compiler made, as a component.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use pgsteward_sandbox::Form;

use super::super::term;
use crate::plugin::open;

/// Turn a core module that carries the type of its world into a component
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The core module
    file: PathBuf,
    /// Where the component goes; default: `<name>.component.wasm` beside it
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shown = args.file.display();
    let package = open(&args.file).with_context(|| format!("`{shown}` cannot be used"))?;
    if package.inspection.form == Form::Component {
        bail!("`{shown}` is a component already");
    }
    let out = args.out.clone().unwrap_or_else(|| args.file.with_extension("component.wasm"));
    std::fs::write(&out, &package.component).with_context(|| format!("`{}` cannot be written", out.display()))?;
    term::out(&format!("{}  {}\n", out.display(), pgsteward_helpers::bytes(package.component.len() as f64)));
    Ok(ExitCode::SUCCESS)
}
