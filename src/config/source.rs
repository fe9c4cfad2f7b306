//! The files of a config: the one given and those it includes, read with caps and told apart by what stands in them.
//!
//! An included file is a part of the config, a plain list of targets, or rules, which are passed on unread: rules are
//! the room `rules`' business. A folder is a folder of rules. Includes of includes are refused, so nothing can turn in
//! a circle, and paths are relative to the file given.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::problem::Problem;
use crate::yaml::{Node, Value, parse, text_of};

/// Largest file in bytes.
pub const MAX_FILE_BYTES: u64 = 4 << 20;
/// Most files.
pub const MAX_FILES: usize = 1_000;

/// All files of a config.
#[derive(Debug)]
pub struct Source {
    /// The file given, then the included ones in their order.
    pub files: Vec<SourceFile>,
    /// What is wrong with files as files.
    pub problems: Vec<Problem>,
}

/// One file.
#[derive(Debug)]
pub struct SourceFile {
    /// As the person would name it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What stands in it.
    pub text: String,
    /// What it is.
    pub content: Content,
}

/// What a file is.
#[derive(Debug, PartialEq)]
pub enum Content {
    /// A config or a part of one.
    Config(Node),
    /// A plain list of targets.
    Targets(Node),
    /// Rules in YAML; the classic form may bring windows and a dedup window along.
    Rules(Node),
    /// A scripted rule.
    Script,
    /// It cannot be read as YAML; the problem is noted.
    Broken,
}

impl SourceFile {
    /// A path written in this file, which is relative to its folder.
    #[must_use]
    pub fn beside(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// Reads a config file and its includes.
///
/// # Errors
/// When the file itself cannot be read; all else that is wrong is in `Source::problems`.
pub fn read(path: &Path) -> Result<Source, Problem> {
    let name = path.display().to_string();
    let text = read_text(path).map_err(|reason| Problem::error(name.clone(), None, reason))?;
    let mut source = Source { files: Vec::new(), problems: Vec::new() };
    source.add(path.into(), text);
    for (pattern, node) in source.includes() {
        source.include(&name, &pattern, &node);
    }
    Ok(source)
}

impl Source {
    /// Files that are texts, for tests and for what has no file.
    #[must_use]
    pub fn of_text(name: &str, text: &str) -> Self {
        let mut source = Self { files: Vec::new(), problems: Vec::new() };
        source.add(name.into(), text.into());
        source
    }

    fn add(&mut self, path: PathBuf, text: String) {
        let name = path.display().to_string();
        let content = if path.extension().is_some_and(|e| e == "rhai") {
            Content::Script
        } else {
            match parse(&name, &text) {
                Ok(node) => tell(node),
                Err(problem) => {
                    self.problems.push(problem);
                    Content::Broken
                }
            }
        };
        self.files.push(SourceFile { name, path, text, content });
    }

    /// The entries of `include` in the file given; their form is checked with everything else.
    fn includes(&self) -> Vec<(String, Node)> {
        let Some(SourceFile { content: Content::Config(root), .. }) = self.files.first() else { return Vec::new() };
        let entries = match key(root, "include").map(|node| (node, &node.value)) {
            Some((_, Value::List(list))) => list.as_slice(),
            Some((node, _)) => std::slice::from_ref(node),
            None => &[],
        };
        entries.iter().filter_map(|node| Some((text_of(node)?, node.clone()))).collect()
    }

    fn include(&mut self, file: &str, pattern: &str, node: &Node) {
        let Some(root) = self.files.first() else { return };
        let folder = root.path.parent().map(Path::to_path_buf).unwrap_or_default();
        let plain = root.beside(pattern);
        let (found, folder_of_rules) = if plain.is_dir() {
            (expand(&plain, "**/*"), true)
        } else if pattern.contains(['*', '?', '[']) {
            (expand(&folder, pattern), false)
        } else if plain.exists() {
            (Ok(vec![plain]), false)
        } else {
            return self.problems.push(Problem::error(file, node.at, format!("there is no file or folder `{}`", plain.display())));
        };
        let mut paths = match found {
            Ok(paths) => paths,
            Err(reason) => return self.problems.push(Problem::error(file, node.at, format!("cannot look for `{pattern}`: {reason}"))),
        };
        paths.retain(|path| is_ours(path, folder_of_rules));
        if paths.is_empty() {
            let what = if folder_of_rules { "holds no rule file (.yaml, .yml, .rhai)" } else { "matches no file" };
            self.problems.push(Problem::warning(file, node.at, format!("`{pattern}` {what}")));
        }
        for path in paths {
            if self.files.len() >= MAX_FILES {
                return self.problems.push(Problem::error(file, node.at, format!("more than {MAX_FILES} files with `{pattern}`")));
            }
            self.add_once(path);
        }
    }

    fn add_once(&mut self, path: PathBuf) {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.into());
        let known: BTreeSet<PathBuf> = self.files.iter().map(|file| real(&file.path)).collect();
        if known.contains(&real(&path)) {
            return;
        }
        match read_text(&path) {
            Ok(text) => self.add(path, text),
            Err(reason) => self.problems.push(Problem::error(path.display().to_string(), None, reason)),
        }
    }
}

/// Files matching a pattern within a folder, sorted by name.
fn expand(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let folder = folder.to_str().ok_or("the folder's name is not UTF-8 text")?;
    let full = if pattern.starts_with('/') || folder.is_empty() {
        pattern.to_string()
    } else {
        format!("{}/{pattern}", glob::Pattern::escape(folder))
    };
    let paths = glob::glob(&full).map_err(|error| error.to_string())?;
    paths
        .take(MAX_FILES * 10)
        .filter(|path| path.as_ref().map_or(true, |p| p.is_file()))
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())
}

/// In a folder only rule files count, and a rule's own tests are `rules test`'s, wherever they lie.
fn is_ours(path: &Path, folder_of_rules: bool) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let rule_like = [".yaml", ".yml", ".rhai"].iter().any(|end| name.ends_with(end)) && !name.starts_with('.');
    !name.ends_with(".test.yaml") && !name.ends_with(".test.yml") && (rule_like || !folder_of_rules)
}

fn read_text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read it: {error}"))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it is larger than {} MB", MAX_FILE_BYTES >> 20));
    }
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 text (at byte {})", error.utf8_error().valid_up_to()))
}

/// Tells rules and target lists from configs.
fn tell(node: Node) -> Content {
    let config_only = ["version", "targets", "channels", "routes", "schedule", "windows", "defaults", "include", "state_dir"];
    match &node.value {
        Value::List(_) => Content::Targets(node),
        Value::Map(_) if config_only.iter().any(|name| key(&node, name).is_some()) => Content::Config(node),
        Value::Map(_) if key(&node, "id").is_some() || key(&node, "rules").is_some_and(are_rules) => Content::Rules(node),
        Value::Map(_) if ["aggregation", "suppression"].iter().any(|name| key(&node, name).is_some()) => Content::Rules(node),
        _ => Content::Config(node),
    }
}

/// Whether a `rules` value is a list of rules or categories of such lists, and not the config's section of that name.
pub(super) fn are_rules(node: &Node) -> bool {
    match &node.value {
        Value::List(_) => true,
        Value::Map(entries) => {
            !entries.is_empty()
                && entries.iter().all(|(key, value)| {
                    matches!(value.value, Value::List(_) | Value::Null) && !["shipped", "override"].contains(&key.text.as_str())
                })
        }
        _ => false,
    }
}

fn key<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|(key, _)| key.text == name).map(|(_, value)| value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    fn kinds(dir: &Path) -> Vec<String> {
        let source = read(&dir.join("config.yaml")).unwrap();
        let kind = |c: &Content| match c {
            Content::Config(_) => "config",
            Content::Targets(_) => "targets",
            Content::Rules(_) => "rules",
            Content::Script => "script",
            Content::Broken => "broken",
        };
        let name = |f: &SourceFile| f.path.strip_prefix(dir).unwrap().display().to_string();
        let files = source.files.iter().map(|f| format!("{}: {}", name(f), kind(&f.content)));
        files.chain(source.problems.iter().map(|p| p.to_string().replace(&format!("{}/", dir.display()), ""))).collect()
    }

    #[test]
    fn includes_are_told_apart_by_what_stands_in_them() {
        let dir = folder(&[
            ("config.yaml", "include: [targets.d/*.yaml, rules.d, classic.yaml, 'config.y*']\n"),
            ("targets.d/a.yaml", "- {name: a, dsn: host=a}\n"),
            ("targets.d/b.yaml", "targets: [{name: b, dsn: host=b}]\n"),
            ("rules.d/locks/one.rhai", "//! id: one\n"),
            ("rules.d/two.yaml", "id: two\n"),
            ("rules.d/two.test.yaml", "cases: []\n"),
            ("rules.d/README.md", "about\n"),
            ("classic.yaml", "rules: {cache: [{name: x}]}\naggregation: {}\n"),
        ]);
        assert_eq!(
            kinds(dir.path()),
            [
                "config.yaml: config",
                "targets.d/a.yaml: targets",
                "targets.d/b.yaml: config",
                "rules.d/locks/one.rhai: script",
                "rules.d/two.yaml: rules",
                "classic.yaml: rules",
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_and_the_rest_goes_on() {
        let dir = folder(&[
            ("config.yaml", "include:\n- gone.yaml\n- none.d/*.yaml\n- empty\n- bad.yaml\n- '[.yaml'\n"),
            ("empty/x", ""),
            ("bad.yaml", "a: ["),
        ]);
        std::fs::write(dir.path().join("bytes.yaml"), [0xff, 0xfe]).unwrap();
        let listed = kinds(dir.path());
        assert_eq!(listed[..2], ["config.yaml: config", "bad.yaml: broken"]);
        assert_eq!(
            listed[2..5],
            [
                "config.yaml:2:3: error: there is no file or folder `gone.yaml`",
                "config.yaml:3:3: warning: `none.d/*.yaml` matches no file",
                "config.yaml:4:3: warning: `empty` holds no rule file (.yaml, .yml, .rhai)",
            ]
        );
        assert!(listed[5].starts_with("bad.yaml:"), "{listed:?}");
        assert!(listed[6].starts_with("config.yaml:6:3: error: cannot look for `[.yaml`"), "{listed:?}");
        let bytes = read(&dir.path().join("bytes.yaml")).unwrap_err();
        assert_eq!(bytes.message, "it is not UTF-8 text (at byte 0)");
    }

    #[test]
    fn a_file_without_end_is_cut_off() {
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err().message, "it is larger than 4 MB");
    }
}
