//! From files to a checked `Config`: opens each file's sections, reads them in the order in which they refer to each
//! other (targets before routes), and gathers all problems on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::checked::{Config, RulesConfig};
use super::desk::{Desk, entries, shown, tame};
use super::source::{Content, Source, SourceFile, read};
use super::{
    actions, alerts, channels, classic, escalation, heartbeat, history, inhibit, mask, plugins, routes, rules, schedule, silences, targets,
    windows,
};
use crate::env::Env;
use crate::problem::{Level, Mark, Problem};
use crate::yaml::{Node, Value, text_of};

/// What came of a config.
#[derive(Debug)]
pub struct Loaded {
    /// The config; `None` when an error makes it unusable.
    pub config: Option<Config>,
    /// All problems, by file and line.
    pub problems: Vec<Problem>,
    /// The files' texts by name, with secrets blotted out, to render problems with.
    pub sources: BTreeMap<String, String>,
}

/// Sections of the main file.
const MAIN: [&str; 14] = [
    "version",
    "state_dir",
    "include",
    "defaults",
    "schedule",
    "rules",
    "plugins",
    "routes",
    "alerts",
    "inhibit",
    "escalation",
    "heartbeat",
    "history",
    "actions",
];
/// Sections of any file; what stands in several files is put together.
const ANYWHERE: [&str; 4] = ["targets", "channels", "windows", "silences"];
/// Sections that a later version will have.
const LATER: [&str; 1] = ["serve"];

/// Most problems that are shown.
const MOST_PROBLEMS: usize = 200;

/// Reads and checks a config file with all that it includes.
#[must_use]
pub fn load(path: &Path, env: &Env) -> Loaded {
    match read(path) {
        Ok(source) => check(source, env),
        Err(problem) => Loaded { config: None, problems: vec![problem], sources: BTreeMap::new() },
    }
}

/// Checks files that were read.
#[must_use]
pub fn check(source: Source, env: &Env) -> Loaded {
    let mut desk = Desk::new(env);
    desk.problems = source.problems;
    let config = config(&mut desk, &source.files);
    shield(&mut desk, &source.files);
    let sources = source.files.iter().map(|file| {
        let secrets: Vec<Mark> = desk.secrets.iter().filter(|place| place.file == file.name).map(|place| place.at).collect();
        (file.name.clone(), mask::mask(&file.text, &secrets))
    });
    let sources = sources.collect();
    let problems = in_order(desk.problems, &source.files);
    let config = if problems.iter().any(Problem::is_error) { None } else { Some(config) };
    Loaded { config, problems, sources }
}

/// A secret in a file that others may read is none.
fn shield(desk: &mut Desk, files: &[SourceFile]) {
    let holding: BTreeSet<&str> = desk.secrets.iter().map(|place| place.file.as_str()).collect();
    let open: Vec<Problem> = files
        .iter()
        .filter(|file| holding.contains(file.name.as_str()) && crate::secret::others_may_read(&file.path))
        .map(|file| {
            Problem::warning(&file.name, None, "it holds a secret, and others may read it").hint(format!("chmod 600 {}", file.name))
        })
        .collect();
    desk.problems.extend(open);
}

/// By file and line, each once, fit for a terminal.
fn in_order(mut problems: Vec<Problem>, files: &[SourceFile]) -> Vec<Problem> {
    let rank: BTreeMap<&str, usize> = files.iter().enumerate().map(|(rank, file)| (file.name.as_str(), rank)).collect();
    problems.sort_by_key(|problem| (rank.get(problem.file.as_str()).copied(), problem.at));
    problems.dedup();
    if problems.len() > MOST_PROBLEMS {
        // What was cut off decides too whether the config can be used, so its level is that of the worst.
        let rest = problems.split_off(MOST_PROBLEMS);
        let level = rest.iter().map(|problem| problem.level).min().unwrap_or(Level::Note);
        let first = files.first().map_or("", |file| file.name.as_str());
        let more = Problem::error(first, None, format!("{} more problems", rest.len())).hint("mend these first");
        problems.push(Problem { level, ..more });
    }
    for problem in &mut problems {
        problem.message = tame(&problem.message);
        problem.hint = problem.hint.as_deref().map(tame);
    }
    problems
}

/// A file and its sections.
struct Part<'a> {
    file: &'a SourceFile,
    sections: BTreeMap<&'static str, &'a Node>,
}

impl<'a> Part<'a> {
    fn open(desk: &mut Desk, file: &'a SourceFile, node: &'a Node, main: bool) -> Self {
        let mut sections = BTreeMap::new();
        if let Some(mut fields) = desk.open(file, node, "a config") {
            for key in LATER {
                fields.refuse(key, "is not in this version yet");
            }
            fields.refuse("aggregation", "belongs to a file of classic rules; here it is `alerts: {dedup: 1h}`");
            fields.refuse("suppression", "belongs to a file of classic rules; here it is `windows`");
            for key in MAIN.into_iter().filter(|_| !main) {
                fields.refuse(key, "stands in the main file only; an included one may hold targets, channels, windows, silences or rules");
            }
            let keys = if main { MAIN.as_slice() } else { &[] };
            for key in keys.iter().copied().chain(ANYWHERE) {
                sections.extend(fields.node(key).map(|node| (key, node)));
            }
            desk.finish(fields);
        }
        Self { file, sections }
    }
}

/// The main file, whose sections stand nowhere else.
struct Main<'p, 'a>(Option<&'p Part<'a>>);

impl<'a> Main<'_, 'a> {
    /// Reads a section if it was written.
    fn read<T>(&self, desk: &mut Desk, key: &str, how: impl FnOnce(&mut Desk, &'a SourceFile, &'a Node) -> T) -> Option<T> {
        let part = self.0?;
        part.sections.get(key).map(|node| how(desk, part.file, node))
    }
}

fn config(desk: &mut Desk, files: &[SourceFile]) -> Config {
    let opened = files.iter().enumerate().filter_map(|(at, file)| match &file.content {
        Content::Config(node) => Some((at, Part::open(desk, file, node, at == 0))),
        _ => None,
    });
    let parts: Vec<(usize, Part<'_>)> = opened.collect();
    let main = Main(parts.first().filter(|(at, _)| *at == 0).map(|(_, part)| part));
    let named = |key: &'static str| parts.iter().filter_map(move |(_, part)| Some((part.file, *part.sections.get(key)?)));

    main.read(desk, "version", version);
    main.read(desk, "include", include);
    let defaults = main.read(desk, "defaults", targets::defaults).unwrap_or_default();
    let lists = files.iter().filter_map(|file| match &file.content {
        Content::Targets(node) => Some((file, node)),
        _ => None,
    });
    let mut targets = Vec::new();
    for (file, node) in named("targets").chain(lists) {
        targets::read(desk, file, node, &defaults, &mut targets);
    }
    let (mut channels, mut names) = (BTreeMap::new(), BTreeSet::new());
    for (file, node) in named("channels") {
        channels::read(desk, file, node, &mut channels, &mut names);
    }
    channels::check_fallbacks(desk, &channels, &names);
    let known = routes::Known { channels: &names, targets: &targets };
    let route = main.read(desk, "routes", |desk, file, node| routes::read(desk, file, node, &known));
    let route = route.unwrap_or_else(|| routes::without(desk, files.first(), &mut channels, &names));
    let mut windows = Vec::new();
    for (file, node) in named("windows") {
        windows::read(desk, file, node, &targets, &mut windows);
    }
    let mut silences = Vec::new();
    for (file, node) in named("silences") {
        silences::read(desk, file, node, &targets, &mut silences);
    }
    let inhibitions = main.read(desk, "inhibit", |desk, file, node| inhibit::read(desk, file, node, &targets)).unwrap_or_default();
    let escalations = main.read(desk, "escalation", |desk, file, node| escalation::read(desk, file, node, &known)).unwrap_or_default();
    let heartbeat = main.read(desk, "heartbeat", |desk, file, node| heartbeat::read(desk, file, node, &names)).flatten();
    let rules = main.read(desk, "rules", |desk, file, node| rules::read(desk, file, node, &targets));
    let (packs, overrides) = rules.unwrap_or_else(|| (rules::packs_beside(files.first()), Vec::new()));
    let schedule = main.read(desk, "schedule", schedule::read).unwrap_or_default();
    let alerts = main.read(desk, "alerts", alerts::read).unwrap_or_default();
    let classic_dedup_s = classic::all(desk, files, &mut windows);
    Config {
        state_dir: main.read(desk, "state_dir", |desk, file, node| path(desk, file, "state_dir", node)).flatten(),
        dedup_s: alerts.dedup.unwrap_or(Some(classic_dedup_s.unwrap_or(alerts::DEDUP_S))),
        unknown_after_s: alerts.unknown_after_s.unwrap_or_else(|| (3 * schedule.every_or_default_s()).max(600)),
        flapping: alerts.flapping,
        tell_lowered: alerts.tell_lowered,
        rules: RulesConfig { packs, files: rule_files(files), overrides },
        plugins: main.read(desk, "plugins", plugins::read).unwrap_or_default(),
        history: main.read(desk, "history", history::read).unwrap_or_default(),
        actions_mode: main.read(desk, "actions", actions::read).unwrap_or_default(),
        places: std::mem::take(&mut desk.places),
        elsewhere: std::mem::take(&mut desk.elsewhere),
        asked: std::mem::take(&mut desk.asked),
        targets,
        schedule,
        channels,
        route,
        windows,
        silences,
        inhibitions,
        escalations,
        heartbeat,
    }
}

fn version(desk: &mut Desk, file: &SourceFile, node: &Node) {
    if node.value != Value::Number(1.0) {
        desk.error_hint(file, node, format!("there is no config version {}", shown(node)), "this program reads `version: 1`");
    }
}

/// What the entries lead to was looked at when the files were read.
fn include(desk: &mut Desk, file: &SourceFile, node: &Node) {
    for entry in entries(node) {
        if text_of(entry).is_none() {
            desk.error(file, entry, format!("`include` must hold paths, this is {}", entry.value.kind()));
        }
    }
}

fn path(desk: &mut Desk, file: &SourceFile, key: &str, node: &Node) -> Option<PathBuf> {
    let path = text_of(node).map(|path| file.beside(&path));
    if path.is_none() {
        desk.error(file, node, format!("`{key}` must be a path, this is {}", node.value.kind()));
    }
    path
}

fn rule_files(files: &[SourceFile]) -> Vec<PathBuf> {
    files.iter().filter(|file| matches!(file.content, Content::Rules(_) | Content::Script)).map(|file| file.path.clone()).collect()
}

#[cfg(test)]
mod tests;
