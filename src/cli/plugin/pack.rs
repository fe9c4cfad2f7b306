//! `plugin pack`: one file with the component, its tests, its README and its own SQL metrics.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::super::shared::show_problems;
use super::super::term;
use super::author;
use crate::plugin::{BUILT, pack};
use crate::problem::Problem;
/// Put a built plugin, its tests, README and metrics into one file
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of the plugin's project
    folder: PathBuf,
    /// The built component; default: `plugin.wasm` in the folder
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Where the file goes; default: `<id>-<version>.wasm` in the folder
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let component = args.component.clone().unwrap_or_else(|| args.folder.join(BUILT));
    let desk = author::open(&component)?;
    let about =
        desk.rules.plugins.first().with_context(|| {
            desk.rules.problems.first().map_or_else(|| "it cannot be asked what it is".to_string(), ToString::to_string)
        })?;
    let packed = pack(&desk.package.component, &args.folder)?;
    let out = args.out.clone().unwrap_or_else(|| args.folder.join(format!("{}-{}.wasm", about.id, about.version)));
    std::fs::write(&out, packed).with_context(|| format!("`{}` cannot be written", out.display()))?;
    // Its metrics and rules together, as an operator's host will take them.
    let whole = author::open(&out)?;
    if whole.rules.problems.iter().any(Problem::is_error) {
        show_problems(whole.rules.problems.iter(), &[].into());
        std::fs::remove_file(&out).with_context(|| format!("`{}` cannot be removed", out.display()))?;
        bail!("nothing is packed: mend what is said above");
    }
    let package = whole.package;
    term::out(&format!(
        "{}  {}, {}, {}, README {}\nsha256  {}\n",
        out.display(),
        pgsteward_helpers::bytes(package.file.len() as f64),
        super::super::shared::counted(package.tests.len(), "test file"),
        super::super::shared::counted(package.metrics.len(), "metric"),
        if package.readme.is_some() { "packed" } else { "missing" },
        package.inspection.hash
    ));
    Ok(ExitCode::SUCCESS)
}
