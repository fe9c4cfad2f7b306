//! `frames`: what a rule can read, with units and docs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::shared::{installed_plugins, load_rules};
use super::table;
use super::term::{self, BOLD, styled};
use crate::env::Env;
use crate::model::{Catalog, FrameDef};

/// Show what rules can read
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// A rule file of your own that brings metrics; can be given several times
    #[arg(long = "rules", value_name = "FILE", global = true)]
    rules: Vec<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// All frames
    List,
    /// One frame with its columns
    Show {
        /// Name of the frame
        frame: String,
    },
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let rules = load_rules(&args.rules, installed_plugins(None, &Env::real())?);
    let catalog = rules.set.catalog();
    match &args.command {
        Command::List => term::out(&list(catalog)),
        Command::Show { frame } => {
            let def = catalog.frame(frame).with_context(|| {
                let near = Catalog::nearest(catalog.frames().map(|f| f.name.as_str()), frame);
                format!("there is no frame `{frame}`{}", near.map_or(String::new(), |n| format!("; did you mean `{n}`?")))
            })?;
            term::out(&show(def));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(catalog: &Catalog) -> String {
    let rows: Vec<Vec<String>> =
        catalog.frames().map(|f| vec![f.name.clone(), f.columns.len().to_string(), f.key.join(", "), f.doc.clone()]).collect();
    table::render(&["frame", ">columns", "a row is one", "doc"], &rows)
}

fn show(def: &FrameDef) -> String {
    let rows: Vec<Vec<String>> =
        def.columns.iter().map(|c| vec![c.name.clone(), c.kind.as_str().into(), c.unit.to_string(), c.doc.clone()]).collect();
    let key = if def.key.is_empty() { "one row a server".to_string() } else { format!("one row a {}", def.key.join(", ")) };
    format!("{}  {}\n{key}\n\n{}", styled(BOLD, &def.name), def.doc, table::render(&["column", "kind", "unit", "doc"], &rows))
}
