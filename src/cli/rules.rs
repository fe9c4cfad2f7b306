//! `rules`: what is evaluated, what each rule means, and whether it does what its tests say.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::shared::{counted, installed_plugins, load_rules, show_problems, sources};
use super::table;
use super::term::{self, BOLD, DIM, GOOD, severity_style, styled};
use crate::alert;
use crate::app::plugins::Plugins;
use crate::app::report::exit;
use crate::app::setup::{self, Rules};
use crate::collect::metrics;
use crate::env::Env;
use crate::model::{Catalog, RuleMeta, SettingDef, SettingValue, Severity};
use crate::problem::Problem;
use crate::rules::{RuleFile, convert, unit};
use crate::text::safe;

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
            term::out(&list(&load_rules(rules, installed_plugins(None, &Env::real())?), pack.as_deref()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Show { rule, rules } => {
            let rules = load_rules(rules, installed_plugins(None, &Env::real())?);
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
        .map(|m| vec![m.id.clone(), m.tier.to_string(), m.pack.clone(), safe(&m.category), m.engine.clone(), safe(&m.title)])
        .collect();
    format!("{}\n{}\n", table::render(&["rule", "tier", "pack", "category", "form", "title"], &rows), counted(rows.len(), "rule"))
}

pub(super) fn show(meta: &RuleMeta) -> String {
    let span = |s: u64| pgsteward_helpers::span(s as f64);
    let mut text = format!("{}  {}\n", styled(BOLD, &meta.id), safe(&meta.title));
    text.push_str(&styled(
        DIM,
        &format!("{} / {} / pack {} / {} form, {}\n", meta.tier, safe(&meta.category), meta.pack, meta.engine, safe(&meta.source)),
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
    // Line by line: a runbook has lines, and each may be hostile.
    let runbook: Vec<String> = meta.runbook.trim_end().lines().map(safe).collect();
    text.push_str(&format!("\n{}\n", runbook.join("\n")));
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
    vec![def.name.clone(), safe(&default), range, safe(&def.doc)]
}

fn test(paths: &[PathBuf], verbose: bool) -> anyhow::Result<ExitCode> {
    let (rules, tests) = if paths.is_empty() {
        let rules = setup::load_rules(&[], Plugins::default());
        let tests = rules.files.iter().filter(|f| f.is_test()).cloned().collect();
        (rules, tests)
    } else {
        let found = find(paths)?;
        (setup::load_only(&found.rules), read(&found.tests)?)
    };
    show_problems(rules.problems.iter(), &sources(&rules));
    if tests.is_empty() && !rules.problems.iter().any(Problem::is_error) {
        bail!("no test file: a rule `x.rhai` has its tests in `x.test.yaml`");
    }
    run_tests(&rules, &tests, verbose)
}

/// Runs test files, shows what failed, and says how many did.
pub(super) fn run_tests(rules: &Rules, tests: &[RuleFile], verbose: bool) -> anyhow::Result<ExitCode> {
    let broken = rules.problems.iter().filter(|p| p.is_error()).count();
    let (passed, failed) = tests.iter().fold((0, 0), |(passed, failed), file| {
        let (p, f) = run_file(rules, file, verbose);
        (passed + p, failed + f)
    });
    let files = tests.len();
    term::out(&format!("{passed} passed, {failed} failed, in {files} test {}\n", if files == 1 { "file" } else { "files" }));
    Ok(ExitCode::from(if failed + broken > 0 { exit::WARNING } else { exit::OK }))
}

/// Runs one test file and shows what failed: cases that passed and failed.
fn run_file(rules: &Rules, file: &RuleFile, verbose: bool) -> (usize, usize) {
    let report = unit::run_tests(&rules.set, file, alert::decide);
    show_problems(report.problems.iter(), &[(file.path.clone(), file.text.clone())].into());
    let fail = styled(severity_style(Severity::Critical), "FAIL");
    if report.cases.is_empty() {
        term::out(&format!("{fail}  {}: no case could be run\n", file.path));
        return (0, 1);
    }
    let (passed, failed): (Vec<_>, Vec<_>) = report.cases.iter().partition(|case| case.failures.is_empty());
    for case in passed.iter().filter(|_| verbose) {
        term::out(&format!("{}  {}: {}\n", styled(GOOD, "pass"), file.path, case.name));
    }
    for case in &failed {
        term::out(&format!("{fail}  {}:{}: {}\n", file.path, case.line, case.name));
        for failure in &case.failures {
            term::out(&format!("{}\n", term::wrapped(failure, "      ", "        ", term::width())));
        }
    }
    (passed.len(), failed.len())
}

/// Rule files and their test files.
#[derive(Default)]
struct Found {
    rules: Vec<PathBuf>,
    tests: Vec<PathBuf>,
}

/// Walks folders; a rule file brings the tests beside it, a test file the rules of its folder that it may be about.
fn find(paths: &[PathBuf]) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for path in paths {
        add(path, &mut found)?;
    }
    for list in [&mut found.rules, &mut found.tests] {
        list.sort();
        list.dedup();
    }
    Ok(found)
}

fn add(path: &Path, found: &mut Found) -> anyhow::Result<()> {
    let beside = path.with_extension("test.yaml");
    if path.is_dir() {
        for entry in entries(path)? {
            add(&entry, found)?;
        }
    } else if is_test(path) {
        found.tests.push(path.to_path_buf());
        let stem = path.to_string_lossy().trim_end_matches(".test.yaml").to_string();
        let own = ["rhai", "yaml"].map(|ending| PathBuf::from(format!("{stem}.{ending}")));
        let own: Vec<PathBuf> = own.into_iter().filter(|p| p.exists()).collect();
        // A file of several rules has a test file for each of them beside it.
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        found.rules.extend(if own.is_empty() { entries(folder)?.into_iter().filter(|p| is_rule(p)).collect() } else { own });
    } else if !path.exists() {
        bail!("there is no file or folder `{}`", path.display());
    } else if is_rule(path) {
        found.rules.push(path.to_path_buf());
        found.tests.extend(beside.exists().then_some(beside));
    }
    Ok(())
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = std::fs::read_dir(folder).with_context(|| format!("`{}` cannot be read", folder.display()))?;
    Ok(read.filter_map(|entry| entry.ok().map(|e| e.path())).collect())
}

fn is_test(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".test.yaml")
}

fn is_rule(path: &Path) -> bool {
    !is_test(path) && path.extension().is_some_and(|ending| ["rhai", "yaml", "yml"].iter().any(|e| ending == *e))
}

fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<RuleFile>> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
        Ok(RuleFile { path: path.display().to_string(), text, pack: None })
    };
    paths.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_says_of_itself_cannot_steer_a_terminal() {
        let hostile = "\u{1b}]0;pwn\u{7}\u{1b}[31m\r";
        let meta = RuleMeta {
            title: hostile.into(),
            category: hostile.into(),
            runbook: format!("Why: {hostile}\nDo: {hostile}"),
            ..alert::rule_unevaluable()
        };
        let shown = show(&meta);
        let own = |text: &str| text.matches('\u{1b}').count();
        let plain = show(&RuleMeta { title: "t".into(), category: "c".into(), runbook: "r".into(), ..meta });
        assert_eq!((own(&shown), shown.contains('\r'), shown.contains('\u{7}')), (own(&plain), false, false), "{shown:?}");
        assert!(shown.contains("\nDo: "), "a runbook keeps its lines: {shown}");
    }
}
