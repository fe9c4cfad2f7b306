//! `plugin build`: a project's folder into `plugin.wasm`, whatever it is written in.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::super::progress::Progress;
use super::super::term;
use crate::env::Env;
use crate::plugin::{BuildError, Built, Language, Tools, build};

/// Build a plugin's project into `plugin.wasm`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The project's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// When the tool that builds it is missing, install it through npm or pip into pgsteward's own cache folder
    #[arg(long)]
    install_tools: bool,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let tools = Tools::of(&Env::real())?;
    let built = match project(&args.dir, &tools) {
        Err(BuildError::NoTool { .. }) if args.install_tools => {
            install(&args.dir, &tools)?;
            project(&args.dir, &tools)?
        }
        built => built?,
    };
    term::out(&format!("{}\n", told(&built)));
    Ok(ExitCode::SUCCESS)
}

/// Builds a project; what a tool says when it gives up is shown.
pub(super) fn project(folder: &Path, tools: &Tools) -> Result<Built, BuildError> {
    let progress = Progress::start("building");
    let built = build(folder, tools, &|what| progress.say(what));
    progress.end();
    match &built {
        Ok(built) => show_said(&built.warnings),
        Err(error) => show_said(error.output()),
    }
    built
}

/// Shows what a tool said. It repeats what stands in sources: no control characters but those that make lines.
fn show_said(said: &str) {
    said.lines().for_each(|line| term::err(&format!("{}\n", crate::text::safe(&line.replace('\t', "    ")))));
}

pub(super) fn told(built: &Built) -> String {
    format!("{}  {}, from {}", built.path.display(), pgsteward_helpers::bytes(built.bytes as f64), built.language)
}

fn install(folder: &Path, tools: &Tools) -> Result<(), BuildError> {
    let progress = Progress::start("installing");
    let installed = tools.install(Language::of_folder(folder)?, &|command| {
        term::err(&format!("installing: {command}\n"));
        progress.say(command);
    });
    progress.end();
    if let Err(error) = &installed {
        show_said(error.output());
    }
    installed
}
