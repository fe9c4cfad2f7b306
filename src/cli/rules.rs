//! `rules`: what is evaluated, what each rule means, and whether it does what its tests say.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::shared::{counted, load_rules, show_problems, sources};
use super::table;
use super::term::{self, BOLD, DIM, GOOD, severity_style, styled};
use crate::alert;
use crate::app::report::exit;
use crate::app::setup::{self, Rules};
use crate::collect::metrics;
use crate::model::{Catalog, RuleMeta, SettingDef, SettingValue, Severity};
use crate::rules::{RuleFile, convert, unit};

/// List, show, test and convert rules
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// All rules
    List {
        /// A rule file of your own; can be given several times
        #[arg(long = "rules", value_name = "FILE")]
        rules: Vec<PathBuf>,
        /// Only this pack
        #[arg(long)]
        pack: Option<String>,
    },
    /// One rule: what it reads, its settings, what to do about it
    Show {
        /// Id of the rule
        rule: String,
        /// A rule file of your own; can be given several times
        #[arg(long = "rules", value_name = "FILE")]
        rules: Vec<PathBuf>,
    },
    /// Run the tests of rules: of all shipped ones, or of rule files and folders
    Test {
        /// Rule files (their `.test.yaml` stands beside them), or folders of them
        paths: Vec<PathBuf>,
        /// Show passed cases too
        #[arg(long, short)]
        verbose: bool,
    },
    /// Print the rich form of rules in the classic form
    Convert {
        /// A file in the classic form
        file: PathBuf,
    },
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::List { rules, pack } => {
            term::out(&list(&load_rules(rules), pack.as_deref()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Show { rule, rules } => {
            let rules = load_rules(rules);
            let found = rules.set.get(rule).with_context(|| {
                let near = Catalog::nearest(rules.set.iter().map(|r| r.meta().id.as_str()), rule);
                format!("there is no rule `{rule}`{}", near.map_or(String::new(), |n| format!("; did you mean `{n}`?")))
            })?;
            term::out(&show(found.meta()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Test { paths, verbose } => test(paths, *verbose),
        Command::Convert { file } => {
            let text = std::fs::read_to_string(file).with_context(|| format!("`{}` cannot be read", file.display()))?;
            match convert::to_rich(&file.display().to_string(), &text, &metrics::catalog()) {
                Ok(rich) => {
                    term::out(&rich);
                    Ok(ExitCode::SUCCESS)
                }
                Err(problems) => {
                    show_problems(problems.iter(), &[(file.display().to_string(), text)].into());
                    Ok(ExitCode::from(exit::WARNING))
                }
            }
        }
    }
}

fn list(rules: &Rules, pack: Option<&str>) -> String {
    let mut metas: Vec<&RuleMeta> = rules.set.iter().map(|r| r.meta()).filter(|m| pack.is_none_or(|p| m.pack == p)).collect();
    metas.sort_by(|a, b| (a.tier, &a.category, &a.id).cmp(&(b.tier, &b.category, &b.id)));
    let rows: Vec<Vec<String>> = metas
        .iter()
        .map(|m| vec![m.id.clone(), m.tier.to_string(), m.pack.clone(), m.category.clone(), m.engine.clone(), m.title.clone()])
        .collect();
    format!("{}\n{}\n", table::render(&["rule", "tier", "pack", "category", "form", "title"], &rows), counted(rows.len(), "rule"))
}

fn show(meta: &RuleMeta) -> String {
    let span = |s: u64| pgsteward_helpers::span(s as f64);
    let mut text = format!("{}  {}\n", styled(BOLD, &meta.id), meta.title);
    text.push_str(&styled(
        DIM,
        &format!("{} / {} / pack {} / {} form, {}\n", meta.tier, meta.category, meta.pack, meta.engine, meta.source),
    ));
    let timing = [("for", meta.for_s), ("keep firing for", meta.keep_firing_for_s), ("evaluated every", meta.interval_s)];
    let timing: Vec<String> = timing.iter().filter(|(_, s)| *s > 0).map(|(name, s)| format!("{name} {}", span(*s))).collect();
    if !timing.is_empty() {
        text.push_str(&format!("\n{}\n", timing.join(", ")));
    }
    let inputs: Vec<String> = meta.inputs.iter().map(|i| if i.optional { format!("{i}?") } else { i.to_string() }).collect();
    text.push_str(&format!("\nReads\n{}\n", term::wrapped(&inputs.join(", "), "   ", "   ", term::width())));
    if !meta.settings.is_empty() {
        let rows: Vec<Vec<String>> = meta.settings.iter().map(setting).collect();
        text.push_str(&format!("\n{}", table::render(&["setting", "default", "range", "doc"], &rows)));
    }
    text.push_str(&format!("\n{}\n", meta.runbook.trim_end()));
    text
}

fn setting(def: &SettingDef) -> Vec<String> {
    let show = |value: f64| def.unit.show(value);
    let default = match &def.default {
        SettingValue::Number(value) => show(*value),
        SettingValue::Flag(flag) => flag.to_string(),
        SettingValue::Text(text) => text.clone(),
    };
    let range = def.range.map_or(String::new(), |(low, high)| format!("{} .. {}", show(low), show(high)));
    vec![def.name.clone(), default, range, def.doc.clone()]
}

fn test(paths: &[PathBuf], verbose: bool) -> anyhow::Result<ExitCode> {
    let own = expand(paths)?;
    let rules = setup::load_rules(&own);
    if paths.is_empty() {
        show_problems(rules.problems.iter(), &sources(&rules));
    } else {
        let asked: Vec<String> = own.iter().map(|p| p.display().to_string()).collect();
        show_problems(rules.problems.iter().filter(|p| asked.contains(&p.file)), &sources(&rules));
    }
    let broken = rules
        .problems
        .iter()
        .filter(|p| p.is_error() && (paths.is_empty() || own.iter().any(|o| o.display().to_string() == p.file)))
        .count();
    let mut files: Vec<RuleFile> = rules.files.iter().filter(|f| f.path.ends_with(".test.yaml")).cloned().collect();
    if !paths.is_empty() {
        files = beside(&own)?;
        if files.is_empty() && broken == 0 {
            bail!("no test file: a rule `x.rhai` has its tests in `x.test.yaml`");
        }
    }
    let (mut passed, mut failed) = (0, 0);
    for file in &files {
        let report = unit::run_tests(&rules.set, file, alert::decide);
        show_problems(report.problems.iter(), &[(file.path.clone(), file.text.clone())].into());
        if report.cases.is_empty() {
            failed += 1;
            term::out(&format!("{}  {}: no case could be run\n", styled(severity_style(Severity::Critical), "FAIL"), file.path));
        }
        for case in &report.cases {
            if case.failures.is_empty() {
                passed += 1;
                if verbose {
                    term::out(&format!("{}  {}: {}\n", styled(GOOD, "pass"), file.path, case.name));
                }
                continue;
            }
            failed += 1;
            term::out(&format!("{}  {}:{}: {}\n", styled(severity_style(Severity::Critical), "FAIL"), file.path, case.line, case.name));
            for failure in &case.failures {
                term::out(&term::wrapped(failure, "      ", "        ", term::width()));
                term::out("\n");
            }
        }
    }
    term::out(&format!("{passed} passed, {failed} failed, in {}\n", counted(files.len(), "test file")));
    Ok(ExitCode::from(if failed + broken > 0 { exit::WARNING } else { exit::OK }))
}

/// Rule files among the paths; folders are walked.
fn expand(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
                .with_context(|| format!("`{}` cannot be read", path.display()))?
                .filter_map(|entry| entry.ok().map(|e| e.path()))
                .collect();
            entries.sort();
            files.extend(expand(&entries)?);
        } else if is_rule(path) {
            files.push(path.clone());
        } else if let Some(rule) = rule_of_test(path) {
            files.push(rule);
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn is_rule(path: &Path) -> bool {
    let name = path.to_string_lossy();
    (name.ends_with(".rhai") || name.ends_with(".yaml") || name.ends_with(".yml")) && !name.ends_with(".test.yaml")
}

/// `x.rhai` or `x.yaml` for `x.test.yaml`.
fn rule_of_test(path: &Path) -> Option<PathBuf> {
    let stem = path.to_str()?.strip_suffix(".test.yaml")?.to_string();
    ["rhai", "yaml"].iter().map(|ending| PathBuf::from(format!("{stem}.{ending}"))).find(|p| p.exists())
}

/// The test files beside rule files.
fn beside(rules: &[PathBuf]) -> anyhow::Result<Vec<RuleFile>> {
    let mut files = Vec::new();
    for rule in rules {
        let path = rule.with_extension("test.yaml");
        if path.exists() {
            let text = std::fs::read_to_string(&path).with_context(|| format!("`{}` cannot be read", path.display()))?;
            files.push(RuleFile { path: path.display().to_string(), text, pack: None });
        }
    }
    Ok(files)
}
