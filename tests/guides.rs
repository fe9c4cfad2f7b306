//! What the README and the guides show is run: every rule with its tests, every config, every command.
//!
//! A fenced block says what it is in its info string. ```` ```yaml rule x ````, ```` ```rhai rule x ````, ```` ```yaml test x ````
//! and ```` ```yaml config x ```` are the files `x.yaml`, `x.rhai`, `x.test.yaml` and `x.yaml`. ```` ```console ```` holds
//! commands after `$ ` and lines that must come of them in that order, `...` for whatever else there is; `exit=N` says with
//! which code they end. `console server` is run against a real server, which stands in for `SERVER`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/plugins.rs"]
mod plugins;
mod support;

use std::path::Path;
use std::process::{Command, Output};

use pgsteward::env::Env;
use pgsteward::{alert, collect, config, rules};

/// The pages, and how many blocks of a kind each has at least.
const PAGES: [(&str, &[(&str, usize)]); 5] = [
    ("README.md", &[("rule", 2), ("test", 2), ("console", 1), ("server", 1), ("config", 1)]),
    ("docs/guides/rules.md", &[("rule", 5), ("test", 3), ("console", 1), ("server", 1)]),
    ("docs/guides/plugin-authors.md", &[("console", 6), ("config", 1)]),
    ("docs/guides/alerting.md", &[("config", 2), ("console", 1)]),
    ("docs/guides/operating.md", &[("config", 2), ("console", 1), ("server", 3)]),
];

/// What the pages call the server that a reader has.
const SERVER: &str = "host=db1 dbname=shop user=pgsteward";

/// A fenced block with a marker.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// `page:line`, for whoever has to mend it.
    place: String,
    /// The words of the info string.
    words: Vec<String>,
    text: String,
}

impl Block {
    fn is(&self, kind: &str) -> bool {
        self.words.iter().skip(1).any(|word| word == kind) || (kind == "console" && self.words == ["console"])
    }

    /// The file that the block is, if it is one.
    fn file(&self) -> Option<String> {
        let [language, kind, name, ..] = self.words.as_slice() else { return None };
        match (language.as_str(), kind.as_str()) {
            ("yaml", "rule" | "config") => Some(format!("{name}.yaml")),
            ("rhai", "rule") => Some(format!("{name}.rhai")),
            ("yaml", "test") => Some(format!("{name}.test.yaml")),
            _ => None,
        }
    }

    /// The code that each command ends with.
    fn exit(&self) -> Option<i32> {
        self.words.iter().find_map(|word| word.strip_prefix("exit=")).map(|code| code.parse().unwrap())
    }

    /// Each command with the lines that must come of it.
    fn commands(&self) -> Vec<(&str, Vec<&str>)> {
        let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in self.text.lines() {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command, Vec::new())),
                (None, Some((_, expected))) => expected.push(line),
                (None, None) => panic!("{}: a console block begins with `$ `", self.place),
            }
        }
        commands
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn blocks(page: &str) -> Vec<Block> {
    blocks_of(page, &std::fs::read_to_string(root().join(page)).unwrap())
}

fn blocks_of(page: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(info), false) => {
                let words = info.split_whitespace().map(String::from).collect();
                blocks.push(Block { place: format!("{page}:{}", at + 1), words, text: String::new() });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => blocks.last_mut().unwrap().text.push_str(&format!("{line}\n")),
            (None, false) => {}
        }
    }
    assert!(!open, "{page}: a block is not closed");
    blocks
}

/// Where the pages' logs are.
const LOGS: &str = "/var/log/pgsteward";

/// Writes the files that a page shows into a folder; server and logs are in the places that the test has for them.
fn unfold(blocks: &[Block], folder: &Path, server: &str) {
    for (block, name) in blocks.iter().filter_map(|block| Some((block, block.file()?))) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, block.text.replace(SERVER, server).replace(LOGS, folder.to_str().unwrap())).unwrap();
    }
}

/// Runs a command as a reader would: in a shell, with `pgsteward` in the path, and nothing of this machine's state.
fn run(command: &str, folder: &Path) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_pgsteward")).parent().unwrap();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([program.to_owned()].into_iter().chain(std::env::split_paths(&others))).unwrap();
    let mut shell = Command::new("sh");
    plugins::at_home(&mut shell, folder);
    shell.args(["-ec", command]).env("PATH", path).output().unwrap()
}

/// A line with single blanks: how wide columns are is no matter of the pages.
fn narrow(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs the commands of a block; complains of a wrong end and of lines that did not come, in their order.
fn complaints(block: &Block, folder: &Path, server: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (command, expected) in block.commands() {
        let output = run(&command.replace(SERVER, server), folder);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let code = output.status.code().unwrap_or(-1);
        if code != block.exit().unwrap_or(0) {
            complaints.push(format!("{}: `{command}` ended with {code}:\n{said}", block.place));
        }
        let mut lines = said.lines().map(narrow);
        for want in expected.iter().map(|line| narrow(line)).filter(|line| !line.is_empty() && line != "...") {
            let same = |line: String| want.strip_suffix("...").map_or(line == want, |begin| line.starts_with(begin));
            if !lines.any(same) {
                complaints.push(format!("{}: `{command}` does not say `{want}` there:\n{said}", block.place));
                break;
            }
        }
    }
    complaints
}

fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_page_has_its_blocks() {
    let mut complaints = Vec::new();
    for (page, least) in PAGES {
        let blocks = blocks(page);
        for (kind, least) in least {
            let found = blocks.iter().filter(|block| block.is(kind)).count();
            if found < *least {
                complaints.push(format!("{page}: {found} blocks of `{kind}`, at least {least} are wanted"));
            }
        }
    }
    none(complaints);
}

#[test]
fn every_rule_loads_and_passes_its_tests() {
    let mut complaints = Vec::new();
    for (page, _) in PAGES {
        let blocks = blocks(page);
        let files: Vec<rules::RuleFile> = blocks
            .iter()
            .filter(|block| block.is("rule") || block.is("test"))
            .filter_map(|block| Some(rules::RuleFile { path: block.file()?, text: block.text.clone(), pack: Some(rules::OWN_PACK.into()) }))
            .collect();
        let loaded = rules::load(&files, &[], &collect::metrics::catalog(), rules::rhai::Limits::default());
        complaints.extend(loaded.problems.iter().filter(|problem| problem.is_error()).map(|problem| format!("{page}: {problem}")));
        let tests: Vec<&rules::RuleFile> = files.iter().filter(|file| file.is_test()).collect();
        for test in &tests {
            let report = rules::unit::run_tests(&loaded.set, test, alert::decide);
            complaints.extend(report.problems.iter().map(|problem| format!("{page}: {problem}")));
            for case in &report.cases {
                complaints.extend(case.failures.iter().map(|failure| format!("{page}: {}: {}: {failure}", test.path, case.name)));
            }
        }
        // Rules of the classic form have a name and no id; they are as plain as a test of them would be.
        for rule in loaded.set.iter().map(|rule| rule.meta()) {
            let named = |file: &rules::RuleFile, key: &str| {
                file.text.contains(&format!("{key}: {} ", rule.id)) || file.text.contains(&format!("{key}: {}\n", rule.id))
            };
            if files.iter().any(|file| !file.is_test() && named(file, "id")) && !tests.iter().any(|test| named(test, "rule")) {
                complaints.push(format!("{page}: the rule `{}` has no test beside it", rule.id));
            }
        }
    }
    none(complaints);
}

#[test]
fn every_config_can_be_used() {
    let mut complaints = Vec::new();
    for (page, _) in PAGES {
        let (blocks, folder) = (blocks(page), tempfile::tempdir().unwrap());
        unfold(&blocks, folder.path(), SERVER);
        for block in blocks.iter().filter(|block| block.is("config")) {
            let loaded = config::load(&folder.path().join(block.file().unwrap()), &Env::of([]));
            complaints
                .extend(loaded.problems.iter().filter(|problem| problem.is_error()).map(|problem| format!("{}: {problem}", block.place)));
        }
    }
    none(complaints);
}

#[test]
fn every_command_does_what_the_page_says() {
    let mut complaints_of_all = Vec::new();
    for (page, _) in PAGES {
        let (blocks, folder) = (blocks(page), tempfile::tempdir().unwrap());
        unfold(&blocks, folder.path(), SERVER);
        let offline = blocks.iter().filter(|block| block.is("console") && !block.is("server"));
        complaints_of_all.extend(offline.flat_map(|block| complaints(block, folder.path(), SERVER)));
    }
    none(complaints_of_all);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_needs_a_server_runs_against_one() {
    let server = support::server(support::newest()).await;
    server.database("shop").await;
    let client = support::connect(&server.cluster.config("shop", "postgres")).await;
    client
        .batch_execute("CREATE TABLE public.orders (status text, created_at timestamptz); GRANT SELECT ON public.orders TO steward")
        .await
        .unwrap();
    let dsn = server.steward("shop");
    let mut complaints_of_all = Vec::new();
    for (page, _) in PAGES {
        let (blocks, folder) = (blocks(page), tempfile::tempdir().unwrap());
        unfold(&blocks, folder.path(), &dsn);
        let online = blocks.iter().filter(|block| block.is("server"));
        complaints_of_all.extend(online.flat_map(|block| complaints(block, folder.path(), &dsn)));
    }
    none(complaints_of_all);
}

/// The alerting guide's first page: stand-ins in one terminal, a drill in the other, on ports that are free here.
#[test]
fn the_first_five_minutes_lead_to_a_mail_and_a_chat_message() {
    let page = "docs/guides/alerting.md";
    let (blocks, folder) = (blocks(page), tempfile::tempdir().unwrap());
    let ports = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let [smtp, http] = ports.map(|listener| listener.local_addr().unwrap().port().to_string());
    let free = |text: &str| text.replace("2525", &smtp).replace("8025", &http);
    let config = blocks.iter().find(|block| block.file().as_deref() == Some("first.yaml")).unwrap();
    std::fs::write(folder.path().join("first.yaml"), free(&config.text)).unwrap();
    let block = |word: &str| blocks.iter().find(|block| block.words == ["console", word]).unwrap();
    let (catch, _) = block("catch").commands().remove(0);
    let catch = free(catch).replacen("pgsteward", env!("CARGO_BIN_EXE_pgsteward"), 1);
    let catch = format!("exec {catch} --into caught --count 2");
    let mut catcher =
        Command::new("sh").args(["-c", &catch]).current_dir(folder.path()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    // Its first line says that it listens.
    std::io::BufRead::read_line(&mut std::io::BufReader::new(catcher.stdout.as_mut().unwrap()), &mut String::new()).unwrap();
    none(complaints(block("caught"), folder.path(), SERVER));
    assert!(catcher.wait().unwrap().success());
    let kept = std::fs::read_dir(folder.path().join("caught")).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let kept: Vec<String> = kept.collect();
    assert!(kept.len() == 2 && kept.iter().all(|text| text.contains("DRILL")), "{kept:?}");
}

#[test]
fn the_reader_of_blocks_knows_files_and_commands() {
    let page = "text\n```yaml rule x\na: 1\n```\n```console exit=1\n$ pgsteward a\nout\n...\n$ b\n```\n```sh\nls\n```\n";
    let blocks = blocks_of("p.md", page);
    assert_eq!(blocks[0].file().as_deref(), Some("x.yaml"));
    assert_eq!((blocks[1].exit(), blocks[1].place.as_str()), (Some(1), "p.md:5"));
    assert_eq!(blocks[1].commands(), [("pgsteward a", vec!["out", "..."]), ("b", vec![])]);
    assert_eq!((blocks[2].file(), blocks[2].is("console")), (None, false));
}

#[test]
fn a_command_that_says_something_else_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let said = |text: &str| complaints(&blocks_of("p.md", text)[0], folder.path(), SERVER).len();
    assert_eq!(said("```console\n$ echo one; echo two\none\ntwo\n```\n"), 0);
    assert_eq!(said("```console\n$ echo one; echo two\ntwo\none\n```\n"), 1);
    assert_eq!(said("```console\n$ exit 3\n```\n"), 1);
    assert_eq!(said("```console exit=3\n$ exit 3\n```\n"), 0);
}
