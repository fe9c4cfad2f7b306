//! `plugin new`: a project that builds and whose tests pass, to begin from.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::super::shared::counted;
use super::super::term::{self, BOLD, DIM, styled};
use crate::plugin::{Language, scaffold};

/// Write a new plugin's project: a rule that works, its tests, the language's kit
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The language to write it in
    #[arg(long)]
    lang: Language,
    /// Id of the plugin and of its first rule: lower-case letters, digits and `_`
    name: String,
    /// The project's folder, new or empty; default: one of that name, here
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl ValueEnum for Language {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.word()).help(self.to_string()))
    }
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let files = scaffold(&folder, args.lang, &args.name)?;
    let shown = folder.display();
    let mut text =
        format!("{}  a plugin in {}, {} in `{shown}`. Next:\n\n", styled(BOLD, &args.name), args.lang, counted(files.len(), "file"));
    for (command, what) in [("build", "makes plugin.wasm"), ("test", "runs its cases in the sandbox"), ("dev", "both at each save")] {
        text.push_str(&format!("   pgsteward plugin {command} {shown}   {}\n", styled(DIM, &format!("# {what}"))));
    }
    term::out(&text);
    Ok(ExitCode::SUCCESS)
}
