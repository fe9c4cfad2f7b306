//! Taking in changed rules while the service runs: which files changed, and whether what they hold now may take the
//! place of what runs.
//!
//! A changed rule file or plugin is loaded beside the old one, and its own tests run. Only when all of that is well does
//! the service swap, between two ticks; otherwise the old stays and the reason is told. What is wrong with files that did
//! not change was there before, and is no reason to refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::alert;
use crate::app::setup::Rules;
use crate::rules::{RuleFile, unit};

/// What files looked like: size and time of the last change.
type Look = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// The files that running rules came from, and how they looked.
#[derive(Debug, Clone)]
pub struct Watched {
    rule_files: Vec<PathBuf>,
    shelf: PathBuf,
    /// When the running rules were loaded.
    running: Look,
    /// At the last look.
    last: Look,
    /// When they were refused.
    refused: Option<Look>,
}

impl Watched {
    /// Watches rule files, with the tests beside them, and everything in the folder of installed plugins, as they are now.
    #[must_use]
    pub fn new(rule_files: Vec<PathBuf>, shelf: PathBuf) -> Self {
        let running = look(&rule_files, &shelf);
        Self { last: running.clone(), running, refused: None, rule_files, shelf }
    }

    /// The files that are new, gone or different since another watching began.
    #[must_use]
    pub fn changed_since(&self, before: &Self) -> BTreeSet<PathBuf> {
        let all = self.running.keys().chain(before.running.keys());
        all.filter(|path| self.running.get(*path) != before.running.get(*path)).cloned().collect()
    }

    /// Looks again: whether something changed and has come to rest, and was not refused as it is. While somebody writes,
    /// nothing is read.
    pub fn wants_reload(&mut self) -> bool {
        let now = look(&self.rule_files, &self.shelf);
        let rested = now == self.last;
        self.last = now;
        rested && self.last != self.running && self.refused.as_ref() != Some(&self.last)
    }

    /// What was seen at the last look could not be used.
    pub fn refused(&mut self) {
        self.refused = Some(self.last.clone());
    }
}

fn look(rule_files: &[PathBuf], shelf: &Path) -> Look {
    let mut paths: Vec<PathBuf> = rule_files.iter().flat_map(|path| [path.clone(), test_beside(path)]).collect();
    paths.extend(std::fs::read_dir(shelf).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_file()));
    let one = |path: PathBuf| {
        let found = std::fs::metadata(&path).ok()?;
        Some((path, (found.len(), found.modified().ok())))
    };
    paths.into_iter().filter_map(one).collect()
}

/// `x.test.yaml` beside `x.rhai`.
fn test_beside(path: &Path) -> PathBuf {
    path.with_extension("test.yaml")
}

/// Whether loaded rules may take the place of those that run.
///
/// # Errors
/// What is wrong with a changed file or plugin: all of it, one a line.
pub fn trial(rules: &Rules, rule_files: &[PathBuf], changed: &BTreeSet<PathBuf>) -> Result<(), Vec<String>> {
    let concerned = |source: &str| concerns(source, changed);
    let mut faults: Vec<String> =
        rules.problems.iter().filter(|problem| problem.is_error() && concerned(&problem.file)).map(ToString::to_string).collect();
    let beside = rule_files.iter().filter(|path| changed.contains(*path) || changed.contains(&test_beside(path))).filter_map(|path| {
        let path = test_beside(path);
        let text = std::fs::read_to_string(&path).ok()?;
        Some(RuleFile { path: path.display().to_string(), text, pack: None })
    });
    let packed = rules.files.iter().filter(|file| file.is_test() && file.path.starts_with("plugin ") && concerned(&file.path)).cloned();
    faults.extend(beside.chain(packed).flat_map(|file| failures(rules, &file)));
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Whether a source of rules is among what changed: a file by its path, an installed plugin by its id.
fn concerns(source: &str, changed: &BTreeSet<PathBuf>) -> bool {
    if changed.contains(Path::new(source)) {
        return true;
    }
    let Some(id) = source.strip_prefix("plugin ").and_then(|rest| rest.split(' ').next()) else { return false };
    let of_plugin = |name: &str| name.strip_prefix(id).is_some_and(|rest| [".wasm", ".wasm.minisig", ".json"].contains(&rest));
    changed.iter().any(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(of_plugin))
}

fn failures(rules: &Rules, file: &RuleFile) -> Vec<String> {
    let report = unit::run_tests(&rules.set, file, alert::decide);
    let mut faults: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    for case in report.cases.iter().filter(|case| !case.failures.is_empty()) {
        faults.push(format!("{}:{}: {}: {}", file.path, case.line, case.name, case.failures.join("; ")));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::plugins::Plugins;
    use crate::app::setup;

    const RULE: &str = "rules:\n  - id: dead\n    title: dead rows\n    from: tables\n    warning: dead > 10\n    summary: x\n";
    const TEST: &str = "rule: dead\nhealthy:\n  tables: {database: d, schema: s, table: t, dead: 0}\ncases:\n  - name: quiet\n    given: {tables: [{dead: 5}]}\n    expect: []\n";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            folder.write("dead.yaml", RULE);
            folder.write("dead.test.yaml", TEST);
            folder
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.0.path().join(name), text).unwrap();
        }

        fn watched(&self) -> Watched {
            Watched::new(vec![self.0.path().join("dead.yaml")], self.0.path().join("plugins"))
        }

        fn trial(&self, before: &Watched) -> Result<(), Vec<String>> {
            let files = vec![self.0.path().join("dead.yaml")];
            trial(&setup::load_rules(&files, Plugins::default()), &files, &self.watched().changed_since(before))
        }
    }

    #[test]
    fn a_change_is_taken_in_when_it_has_come_to_rest_and_not_again_once_it_was_refused() {
        let folder = Folder::new();
        let mut watched = folder.watched();
        assert!(!watched.wants_reload());
        folder.write("dead.yaml", "rules: [");
        assert!(!watched.wants_reload(), "it may still be written");
        assert!(watched.wants_reload());
        watched.refused();
        assert!(!watched.wants_reload());
        folder.write("dead.yaml", RULE);
        folder.write("dead.test.yaml", "");
        assert!(!watched.wants_reload());
        assert!(watched.wants_reload());
    }

    #[test]
    fn a_changed_rule_that_is_broken_or_fails_its_tests_is_refused() {
        let folder = Folder::new();
        let before = folder.watched();
        assert_eq!(folder.trial(&before), Ok(()));
        folder.write("dead.yaml", &RULE.replace("dead > 10", "dead > 1 "));
        let faults = folder.trial(&before).unwrap_err();
        assert!(faults[0].contains("dead.test.yaml:5: quiet: "), "{faults:?}");
        folder.write("dead.yaml", &RULE.replace("dead > 10", "deed > 10"));
        let faults = folder.trial(&before).unwrap_err();
        assert!(faults[0].contains("dead.yaml:5:"), "{faults:?}");
    }

    #[test]
    fn what_was_wrong_before_is_no_reason_to_refuse() {
        let folder = Folder::new();
        folder.write("dead.yaml", "rules: [");
        assert_eq!(folder.trial(&folder.watched()), Ok(()));
    }
}
