//! Compiles rule files into a set. One bad rule never stops the others, and all problems come at once.
//!
//! The form is found in the text: `.rhai` is a script; YAML has `rules:`, a list of rich rules or a map of classic ones by
//! category (an item is told by its keys, so that lists may mix). Rules that bring a metric come first, because any other
//! rule may read its frame.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::meta::{Defaults, read_header};
use super::rhai::{Engine, Limits, compile_script};
use super::set::Entry;
use super::threshold::classic::Classic;
use super::threshold::flat::{self, FlatRule};
use super::threshold::rich::compile_rich;
use super::wasm::{self, Plugin};
use super::{OWN_PACK, Rule, RuleFile, RuleSet, convert, header};
use crate::model::{Catalog, Metric, Tier};
use crate::problem::{Mark, Problem};
use crate::yaml::{Fields, Node, Value, parse, text_of};

/// What came of loading.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The rules that compiled.
    pub set: RuleSet,
    /// The metrics that rule files bring; their frames are in the set's catalog.
    pub metrics: Vec<Metric>,
    /// The plugins whose rules are in the set: id, version and file.
    pub plugins: Vec<LoadedPlugin>,
    /// Everything that is wrong or worth knowing, in the order of the files.
    pub problems: Vec<Problem>,
}

/// A plugin that could be asked what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedPlugin {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The file it came from.
    pub source: String,
    /// SHA-256 of that file, hex.
    pub hash: String,
    /// What else it says of itself, as text.
    pub facts: Vec<(String, String)>,
    /// Ids of its rules that are in the set.
    pub rules: Vec<String>,
}

/// The id of `alert`'s own rule, which tells of rules that cannot be judged.
const RESERVED: &str = "rule_unevaluable";

/// Compiles every rule of these files, test files among them passed over, and takes in the rules of these plugins.
#[must_use]
pub fn load(files: &[RuleFile], plugins: &[Plugin], catalog: &Catalog, limits: Limits) -> Loaded {
    let most = limits.findings;
    let set = RuleSet { catalog: catalog.clone(), ..RuleSet::default() };
    let mut loader = Loader { engine: Engine::new(limits), most, loaded: Loaded { set, ..Loaded::default() }, places: Vec::new() };
    let files: Vec<Arc<RuleFile>> = files.iter().filter(|file| !file.is_test()).cloned().map(Arc::new).collect();
    plugins.iter().for_each(|plugin| loader.metrics_of(plugin));
    let parsed: Vec<(Arc<RuleFile>, Node)> = files.iter().filter(|f| !is_script(f)).filter_map(|f| loader.parse(f)).collect();
    let items: Vec<Item<'_>> = parsed.iter().flat_map(|(file, root)| loader.items(file, root)).collect();
    let (bringing, others): (Vec<_>, Vec<_>) = items.iter().partition(|item| has_key(item.node, "metric") && has_key(item.node, "id"));
    bringing.into_iter().chain(others).for_each(|item| loader.item(item));
    files.iter().filter(|f| is_script(f)).for_each(|file| loader.script(file));
    plugins.iter().for_each(|plugin| loader.plugin(plugin));
    // Those of plugins, which are in none of the files, come last.
    let order = |problem: &Problem| files.iter().position(|f| f.path == problem.file).unwrap_or(files.len());
    loader.loaded.problems.sort_by_key(|problem| (order(problem), problem.at));
    loader.loaded
}

/// A rule that compiled, with the metric that it brings.
type Compiled = (Box<dyn Rule>, Option<Metric>);

/// One rule of a YAML file.
struct Item<'a> {
    file: &'a Arc<RuleFile>,
    category: String,
    node: &'a Node,
}

struct Loader {
    engine: Arc<Engine>,
    /// How many findings a rule may report at once.
    most: usize,
    loaded: Loaded,
    /// Where each id was declared.
    places: Vec<(String, String)>,
}

impl Loader {
    fn parse(&mut self, file: &Arc<RuleFile>) -> Option<(Arc<RuleFile>, Node)> {
        match parse(&file.path, &file.text) {
            Ok(root) => Some((file.clone(), root)),
            Err(problem) => {
                self.loaded.problems.push(problem);
                None
            }
        }
    }

    /// The rules of a file.
    fn items<'a>(&mut self, file: &'a Arc<RuleFile>, root: &'a Node) -> Vec<Item<'a>> {
        let mut fields = match Fields::open(&file.path, root, "a rule file") {
            Ok(fields) => fields,
            Err(problem) => {
                self.loaded.problems.push(problem);
                return Vec::new();
            }
        };
        let rules = fields.required("rules");
        if let Some(node) = rules.filter(|node| !matches!(node.value, Value::List(_) | Value::Map(_))) {
            fields.error(node, format!("`rules` must be a list, or a map of lists by category; this is {}", node.value.kind()));
        }
        // What a classic file says beside its rules is for `config` to read.
        let _ = (fields.node("aggregation"), fields.node("suppression"));
        self.loaded.problems.extend(fields.finish());
        let items = rules.map(convert::items).unwrap_or_default();
        items.into_iter().map(|(category, node)| Item { file, category, node }).collect()
    }

    fn item(&mut self, item: &Item<'_>) {
        if flat::is_flat(item.node) {
            self.flat(item);
        } else {
            self.rich(item.file, item.node, mark_of(item.node, "id"));
        }
    }

    fn flat(&mut self, item: &Item<'_>) {
        let (path, problems) = (&item.file.path, &mut self.loaded.problems);
        let Some(rule) = flat::read(path, &item.category, item.node, &self.loaded.set.catalog, problems) else { return };
        let text = format!("rules:\n{}", convert::item(&rule, &self.loaded.set.catalog));
        if rule.measure.plain {
            let pack = pack_of(item.file, None, rule.response.tier());
            let at = rule.at;
            let classic = Classic::new(rule, path, &pack, &hash(&text), self.most);
            self.add(Ok((Box::new(classic), None)), item.file, at);
        } else {
            self.converted(item.file, &rule, &text);
        }
    }

    /// A classic rule over more than a column, through the rich engine. Whatever is wrong there is about the rule's name.
    fn converted(&mut self, file: &Arc<RuleFile>, rule: &FlatRule, text: &str) {
        let pack = pack_of(file, None, rule.response.tier());
        let at_name = |problem: Problem| Problem { at: Some(rule.at), ..problem };
        let compiled = parse(&file.path, text).map_err(|problem| vec![problem]).and_then(|root| {
            let node = only_rule(&root).ok_or_else(|| vec![Problem::error(&file.path, None, "the rule has no rich form")])?;
            compile_rich(&self.engine, &file.path, node, &pack, &self.loaded.set.catalog)
        });
        let compiled = compiled.map_err(|problems| problems.into_iter().map(at_name).collect());
        self.add(compiled.map(|rich| (rich.rule, rich.metric)), file, rule.at);
    }

    fn rich(&mut self, file: &Arc<RuleFile>, node: &Node, at: Mark) {
        let pack = pack_of(file, text_at(node, "pack"), tier_of(text_at(node, "tier")));
        let compiled = compile_rich(&self.engine, &file.path, node, &pack, &self.loaded.set.catalog);
        self.add(compiled.map(|rich| (rich.rule, rich.metric)), file, at);
    }

    fn script(&mut self, file: &Arc<RuleFile>) {
        let script = header::split(&file.text);
        let Some((_, root)) = self.parse(&Arc::new(RuleFile { text: script.yaml, ..file.as_ref().clone() })) else { return };
        let at = mark_of(&root, "id");
        let compiled = self.compile_script(file, &root, script.body, script.first_line);
        self.add(compiled.map(|rule| (rule, None)), file, at);
    }

    fn compile_script(&self, file: &RuleFile, root: &Node, body: &str, first_line: u32) -> Result<Box<dyn Rule>, Vec<Problem>> {
        let mut fields = Fields::open(&file.path, root, "the header of a script").map_err(|problem| vec![problem])?;
        let pack = pack_of(file, text_at(root, "pack"), tier_of(text_at(root, "tier")));
        let hash = hash(&file.text);
        let header = read_header(&file.path, &mut fields, Defaults { pack: &pack, engine: "rhai", hash: &hash });
        let problems = fields.finish();
        let compiled = header.map(|header| compile_script(&self.engine, header, body, &file.path, first_line, &self.loaded.set.catalog));
        match compiled {
            Some(Ok(rule)) if problems.is_empty() => Ok(rule),
            Some(Err(more)) => Err(problems.into_iter().chain(more).collect()),
            _ => Err(problems),
        }
    }

    /// The frames of a plugin's metrics; any rule may read them. They are collected only where the operator lets them.
    fn metrics_of(&mut self, plugin: &Plugin) {
        for metric in &plugin.metrics {
            match self.loaded.set.catalog.add(metric.frame.clone()) {
                Ok(()) if plugin.metrics_granted => self.loaded.metrics.push(metric.clone()),
                Ok(()) => {
                    let message = format!("its metric `{}` is not collected: the plugin may not ask the servers", metric.frame.name);
                    let hint = "read its SQL (`pgsteward plugin inspect`), then set `grant: [metrics]` for it in the config";
                    self.loaded.problems.push(Problem::warning(&plugin.source, None, message).hint(hint));
                }
                Err(message) => self.loaded.problems.push(Problem::error(&plugin.source, None, message)),
            }
        }
    }

    fn plugin(&mut self, plugin: &Plugin) {
        let file = Arc::new(RuleFile { path: plugin.source.clone(), text: String::new(), pack: Some(OWN_PACK.into()) });
        let component = match &plugin.component {
            Ok(component) => component,
            Err(stopped) => return self.stopped(stopped, &file),
        };
        let described = match wasm::describe(plugin, component, &self.loaded.set.catalog) {
            Ok(described) => described,
            Err(problem) => {
                let stopped = wasm::Stopped { reason: problem.message.clone(), rules: plugin.recorded.clone() };
                self.loaded.problems.push(problem);
                return self.stopped(&stopped, &file);
            }
        };
        if let Some(other) = self.loaded.plugins.iter().find(|other| other.id == described.id) {
            let message = format!("plugin `{}` is loaded already, from {}", described.id, other.source);
            return self.loaded.problems.push(Problem::error(&plugin.source, None, message));
        }
        self.loaded.problems.extend(described.problems);
        let ids: Vec<String> = described.rules.iter().map(|rule| rule.meta().id.clone()).collect();
        for rule in described.rules {
            self.add(Ok((Box::new(rule), None)), &file, None);
        }
        // Recorded and not among them: left out for a problem just now.
        let lost = plugin.recorded.iter().filter(|meta| !ids.contains(&meta.id)).cloned().collect();
        self.stopped(&wasm::Stopped { reason: "the plugin's declaration of it cannot be used".into(), rules: lost }, &file);
        let rules = ids.into_iter().filter(|id| self.loaded.set.entries.get(id).is_some_and(|e| e.file.path == plugin.source)).collect();
        let (id, version, facts) = (described.id, described.version, described.facts);
        self.loaded.plugins.push(LoadedPlugin { id, version, source: plugin.source.clone(), hash: plugin.hash.clone(), facts, rules });
    }

    fn stopped(&mut self, stopped: &wasm::Stopped, file: &Arc<RuleFile>) {
        for meta in &stopped.rules {
            let rule = wasm::StoppedRule::new(meta.clone(), stopped.reason.clone());
            self.add(Ok((Box::new(rule), None)), file, None);
        }
    }

    /// Takes a compiled rule into the set, or notes why there is none.
    fn add(&mut self, compiled: Result<Compiled, Vec<Problem>>, file: &Arc<RuleFile>, at: impl Into<Option<Mark>>) {
        let at = at.into();
        let (rule, metric) = match compiled {
            Ok(found) => found,
            Err(problems) => return self.loaded.problems.extend(problems),
        };
        let id = rule.meta().id.clone();
        let here = at.map_or_else(|| file.path.clone(), |at| format!("{}:{}", file.path, at.line));
        if id == RESERVED {
            let problem = Problem::error(file.path.clone(), at, format!("rule id `{id}` is taken by the rule about rules"));
            return self.loaded.problems.push(problem.hint("choose another id"));
        }
        if let Some((_, there)) = self.places.iter().find(|(other, _)| *other == id) {
            let message = format!("rule id `{id}` is taken: {here} and {there} both declare it");
            return self.loaded.problems.push(Problem::error(&file.path, at, message).hint(format!("the one in {there} is used")));
        }
        let brings = metric.as_ref().map(|metric| metric.frame.name.clone());
        if let Some(metric) = metric {
            if let Err(message) = self.loaded.set.catalog.add(metric.frame.clone()) {
                return self.loaded.problems.push(Problem::error(&file.path, at, format!("the metric of `{id}`: {message}")));
            }
            self.loaded.metrics.push(metric);
        }
        self.places.push((id.clone(), here));
        self.loaded.set.entries.insert(id, Entry::new(rule, file, brings));
    }
}

fn is_script(file: &RuleFile) -> bool {
    file.path.ends_with(".rhai")
}

fn entry<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node),
        _ => None,
    }
}

fn has_key(node: &Node, key: &str) -> bool {
    entry(node, key).is_some()
}

fn text_at(node: &Node, key: &str) -> Option<String> {
    entry(node, key).and_then(text_of)
}

/// Where a key's value stands, or else the whole map.
fn mark_of(node: &Node, key: &str) -> Mark {
    entry(node, key).map_or(node.at, |node| node.at)
}

fn only_rule(root: &Node) -> Option<&Node> {
    match &entry(root, "rules")?.value {
        Value::List(list) => list.first(),
        _ => None,
    }
}

fn tier_of(word: Option<String>) -> Tier {
    let named = word.and_then(|word| Tier::ALL.into_iter().find(|t| t.as_str() == word));
    named.unwrap_or(Tier::Ticket)
}

/// What the rule says, else the file, else the tier.
fn pack_of(file: &RuleFile, said: Option<String>, tier: Tier) -> String {
    said.or_else(|| file.pack.clone()).unwrap_or_else(|| tier.as_str().into())
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::fixtures::catalog;

    fn file(path: &str, text: &str) -> RuleFile {
        RuleFile { path: path.into(), text: text.into(), pack: None }
    }

    fn load_all(files: &[RuleFile]) -> (Loaded, Vec<String>) {
        let loaded = load(files, &[], &catalog(), Limits::default());
        let problems = loaded.problems.iter().map(ToString::to_string).collect();
        (loaded, problems)
    }

    const SCRIPT: &str = "//! id: many_dead\n//! title: Many dead rows\n//! tier: advice\n//! inputs: [tables]\n\n\
                          for t in tables.rows(tables.dead > 5.0) {\n    finding(t, #{severity: \"info\", summary: `${t} is ill`});\n}\n";
    const RICH: &str = "rules:\n  - id: orders_stuck\n    title: Orders stay unpaid\n    pack: own\n    metric:\n      name: orders_queue\n      \
                        databases: [shop]\n      sql: {14: \"SELECT status, oldest FROM orders\"}\n      columns: {status: label, oldest: gauge s}\n    \
                        value: oldest\n    warning: value > hours(1)\n    summary: \"{{status}} for {{span(value)}}\"\n";
    const READER: &str = "rules:\n  - id: a_reader\n    title: Reads what another rule brings\n    from: orders_queue\n    value: oldest\n    \
                          warning: value > 5\n    summary: \"{{span(value)}}\"\n";
    const CLASSIC: &str = "rules:\n  cache:\n    - {name: low_hit, metric: cache_hit_ratio, threshold: 80, comparison: less_than, severity: warning, action: notify}\n  \
                           tables:\n    - {name: dead_rows, metric: tables.dead, threshold: 10000, comparison: greater_than, severity: warning, action: log}\n\
                           aggregation: {deduplication: {enabled: true, window: 3600}}\n";

    #[test]
    fn every_form_loads_and_says_which_engine_and_pack_it_has() {
        let files = [file("a.yaml", READER), file("m.rhai", SCRIPT), file("o.yaml", RICH), file("c.yaml", CLASSIC)];
        let (loaded, problems) = load_all(&files);
        assert!(problems.iter().all(|p| p.contains(": note: ")), "{problems:?}");
        let shown: Vec<String> = loaded.set.iter().map(|r| format!("{} {} {}", r.meta().id, r.meta().engine, r.meta().pack)).collect();
        assert_eq!(
            shown,
            ["a_reader rich ticket", "dead_rows classic advice", "low_hit rich ticket", "many_dead rhai advice", "orders_stuck rich own"]
        );
        assert_eq!(loaded.metrics.iter().map(|m| m.frame.name.as_str()).collect::<Vec<_>>(), ["orders_queue"]);
        assert!(loaded.set.catalog().frame("orders_queue").is_some());
        let hashes = loaded.set.hashes();
        assert!(hashes.values().all(|hash| hash.len() == 64), "{hashes:?}");
    }

    #[test]
    fn a_bad_rule_never_stops_the_others() {
        let bad = "//! id: bad\n//! title: Bad\n//! inputs: [tables]\nlet x = tables.deed > 5.0;\nfinding(#{severity: \"info\", summary: \"x\"});\n";
        let flat = "rules:\n  t:\n    - {name: a, metric: tables.deed, threshold: 1, comparison: equals, severity: info, action: log}\n    \
                    - {name: good, metric: tables.dead, threshold: 1, comparison: equals, severity: info, action: log}\n";
        let files =
            [file("broken.yaml", "rules: [1, 2\n"), file("bad.rhai", bad), file("flat.yaml", flat), file("none.yaml", "rule: []\n")];
        let (loaded, problems) = load_all(&files);
        assert_eq!(loaded.set.iter().map(|r| r.meta().id.as_str()).collect::<Vec<_>>(), ["good"]);
        let starts = [
            "broken.yaml:",
            "bad.rhai:4:",
            "flat.yaml:3:25: error: unknown metric `tables.deed`",
            "flat.yaml:4:",
            "none.yaml:1:1: error: `rules` is missing",
            "none.yaml:1:1: error: unknown key `rule`",
        ];
        assert_eq!(problems.len(), starts.len(), "{problems:#?}");
        for (problem, start) in problems.iter().zip(starts) {
            assert!(problem.starts_with(start), "{problem} does not start with {start}");
        }
    }

    #[test]
    fn an_id_that_is_taken_names_both_places() {
        let (loaded, problems) = load_all(&[file("a.rhai", SCRIPT), file("b.rhai", SCRIPT)]);
        assert_eq!(loaded.set.len(), 1);
        assert_eq!(
            problems,
            ["b.rhai:1:9: error: rule id `many_dead` is taken: b.rhai:1 and a.rhai:1 both declare it; the one in a.rhai:1 is used"]
        );
    }

    #[test]
    fn a_problem_in_a_script_stands_where_the_file_has_it() {
        let text = SCRIPT.replace("tables.dead >", "tables.ded >");
        let (_, problems) = load_all(&[file("m.rhai", &text)]);
        assert!(problems[0].starts_with("m.rhai:6:"), "{problems:?}");
        let (_, problems) = load_all(&[file("m.rhai", &SCRIPT.replace("tier: advice", "tier: soon"))]);
        assert!(problems[0].starts_with("m.rhai:3:11: error: `tier`"), "{problems:?}");
    }

    #[test]
    fn every_alias_compiles_in_both_directions() {
        for alias in crate::rules::threshold::alias::ALIASES {
            for (name, comparison) in alias.names.iter().zip(["greater_than", "less_than", "equals"].into_iter().cycle()) {
                let text = format!(
                    "rules:\n  x:\n    - {{name: r, metric: {name}, threshold: 5, comparison: {comparison}, severity: warning, action: remediate}}\n"
                );
                let (loaded, problems) = load_all(&[file("c.yaml", &text)]);
                assert_eq!(loaded.set.len(), 1, "{name}: {problems:?}");
            }
        }
    }

    #[test]
    fn windows_are_the_frames_that_rules_read_some_time_ago() {
        let text = "rules:\n  x:\n    - {name: r, metric: database_growth_pct_day, threshold: 5, comparison: greater_than, severity: info, action: log}\n";
        let (loaded, _) = load_all(&[file("c.yaml", text)]);
        let windows = loaded.set.windows();
        assert_eq!(windows.into_iter().collect::<Vec<_>>(), [(86_400, std::collections::BTreeSet::from(["sizes".to_string()]))]);
    }
}
