//! Keeps the house as it was agreed: who may import whom, every list equal to its folder, headers, sizes, no stubs.
//!
//! It walks what is there, so a room that does not exist yet fails nothing; a room that nobody put into the table does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Rooms that every room may import, except the pure ones below.
const OPEN: [&str; 8] = ["model", "calendar", "problem", "text", "yaml", "clock", "env", "secret"];

/// What a room may import.
enum May {
    /// Only these.
    Only(&'static [&'static str]),
    /// The open rooms and these.
    OpenAnd(&'static [&'static str]),
    /// Everything but these.
    AllBut(&'static [&'static str]),
}

/// The rooms of DESIGN section 3.
const ROOMS: &[(&str, May)] = &[
    ("problem", May::Only(&[])),
    ("text", May::Only(&[])),
    ("clock", May::Only(&[])),
    ("env", May::Only(&[])),
    ("secret", May::Only(&["env", "problem", "yaml"])),
    ("calendar", May::Only(&["problem"])),
    ("yaml", May::Only(&["model", "problem"])),
    ("model", May::Only(&["calendar", "problem"])),
    ("baseline", May::Only(&["model", "calendar", "problem"])),
    ("alert", May::Only(&["model", "calendar", "problem"])),
    ("rules", May::Only(&["model", "calendar", "problem", "text", "yaml"])),
    ("plugin", May::OpenAnd(&["rules"])),
    ("collect", May::OpenAnd(&[])),
    ("store", May::OpenAnd(&[])),
    ("config", May::OpenAnd(&["deliver"])),
    ("deliver", May::OpenAnd(&["store"])),
    ("advise", May::OpenAnd(&["store"])),
    ("act", May::OpenAnd(&["store"])),
    ("serve", May::OpenAnd(&["store"])),
    ("demo", May::Only(&[])),
    ("app", May::AllBut(&["cli"])),
    // On top of everything: it may show any room's values, and no room but `main` knows it.
    ("cli", May::AllBut(&[])),
];

/// Folders whose `mod.rs` is a list of the files beside it, and the files in them that are not items of that list.
const LISTS: &[(&str, &[&str])] = &[
    ("src/collect/metrics", &["build", "tests"]),
    ("src/deliver/channels", &["contract", "snapshots"]),
    ("src/model/action", &["quote"]),
    ("src/alert/suppress", &[]),
    ("src/cli", &["place", "progress", "shared", "table", "term"]),
    ("src/cli/alerts", &[]),
    ("src/cli/notify", &["trial"]),
    ("src/cli/plugin", &["author"]),
    ("src/cli/silence", &[]),
];

/// The longest file that need not explain itself, in lines.
const LONG: usize = 500;
/// The longest header, in lines.
const HEADER: usize = 15;

/// The files below a folder of the project that end in `.{ending}`, sorted, with their texts.
fn files(below: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The room of a file in `src/`.
fn room(file: &Path) -> String {
    let first = file.iter().nth(1).unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file: without comments, and without its unit tests, which may borrow from other rooms.
fn code(text: &str) -> String {
    let tests = |(at, _): &(usize, &str)| text[at + 1..].lines().nth(1).is_some_and(|line| line.ends_with('{'));
    let end = text.match_indices("\n#[cfg(test)]\nmod ").find(tests).map_or(text.len(), |(at, _)| at);
    let lines = text[..end].lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    lines.collect::<Vec<_>>().join("\n")
}

/// The first segments of all paths that begin with `{root}::`, in `use` trees and elsewhere.
fn imports(code: &str, root: &str) -> BTreeSet<String> {
    let begin = format!("{root}::");
    let whole = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
    code.match_indices(&begin).filter(|(at, _)| whole(*at)).flat_map(|(at, _)| heads(&code[at + begin.len()..])).collect()
}

/// `a::b` -> a; `{a, b::{c, d}}` -> a, b.
fn heads(path: &str) -> Vec<String> {
    let word = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![word(path)] };
    let (mut depth, mut start, mut heads) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.push(word(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// Whether one room may import another.
fn may(room: &str, other: &str) -> Result<(), String> {
    let Some((_, rule)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return Err(format!("the room `{room}` is not in the table of tests/tidy.rs"));
    };
    let allowed = room == other
        || match rule {
            May::Only(these) => these.contains(&other),
            May::OpenAnd(these) => OPEN.contains(&other) || these.contains(&other),
            May::AllBut(these) => !these.contains(&other),
        };
    if allowed { Ok(()) } else { Err(format!("`{room}` may not import `{other}`")) }
}

/// Fails with all complaints at once.
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn rooms_import_only_whom_they_may() {
    let mut complaints = Vec::new();
    for (file, text) in files("src", "rs") {
        let room = room(&file);
        let code = code(&text);
        let complain = |why: String| format!("{}: {why}", file.display());
        if room == "main" {
            complaints.extend(
                imports(&code, "pgsteward")
                    .iter()
                    .filter(|other| *other != "cli")
                    .map(|other| complain(format!("`main` may not import `{other}`"))),
            );
        } else if room != "lib" {
            complaints.extend(imports(&code, "crate").iter().filter_map(|other| may(&room, other).err()).map(complain));
        }
    }
    none(complaints);
}

/// What decides must replay: no environment, no clock, no file, not even behind a lint that was switched off.
#[test]
fn pure_rooms_read_nothing_but_what_they_are_given() {
    let mut complaints = Vec::new();
    for (file, text) in files("src", "rs").into_iter().filter(|(file, _)| ["alert", "model"].contains(&room(file).as_str())) {
        let code = code(&text);
        let doors = ["std::env", "std::fs", "std::net", "SystemTime", "Instant", "OnceLock", "thread_local", "disallowed_methods"];
        complaints.extend(doors.iter().filter(|door| code.contains(**door)).map(|door| format!("{}: `{door}`", file.display())));
    }
    none(complaints);
}

#[test]
fn every_folder_of_one_thing_a_file_equals_its_list() {
    let mut complaints = Vec::new();
    for (folder, helpers) in LISTS {
        let Ok(list) = std::fs::read_to_string(root().join(folder).join("mod.rs")) else { continue };
        let list = code(&list);
        for entry in std::fs::read_dir(root().join(folder)).unwrap().flatten() {
            let name = entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
            if name == "mod" || helpers.contains(&name.as_str()) {
                continue;
            }
            let declared =
                list.lines().any(|line| line.trim_start_matches("pub ").trim_start_matches("pub(crate) ") == format!("mod {name};"));
            let listed = list.contains(&format!("{name}::"));
            if !declared || !listed {
                complaints.push(format!("{folder}/mod.rs: `{name}` has a file, and its line in the list is missing"));
            }
        }
    }
    none(complaints);
}

#[test]
fn every_file_is_part_of_the_crate() {
    let mut complaints = Vec::new();
    for (file, _) in files("src", "rs") {
        let name = file.file_stem().unwrap().to_str().unwrap();
        if ["lib", "main"].contains(&name) {
            continue;
        }
        // `a/b/mod.rs` is declared one folder up, as `b`.
        let (folder, name) = match name {
            "mod" => (file.parent().unwrap().parent().unwrap(), file.parent().unwrap().file_name().unwrap().to_str().unwrap()),
            name => (file.parent().unwrap(), name),
        };
        let above = if folder == Path::new("src") { folder.join("lib.rs") } else { folder.join("mod.rs") };
        let beside = folder.with_extension("rs");
        let declares = |text: String| text.contains(&format!("mod {name};"));
        if ![above, beside].iter().any(|parent| std::fs::read_to_string(root().join(parent)).is_ok_and(declares)) {
            complaints.push(format!("{}: no `mod {name};` makes it part of the crate", file.display()));
        }
    }
    none(complaints);
}

#[test]
fn every_file_says_what_it_is_and_a_long_one_why() {
    let mut complaints = Vec::new();
    for (file, text) in files("src", "rs").into_iter().chain(files("plugins/helpers", "rs")) {
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let file = file.display();
        if header.is_empty() {
            complaints.push(format!("{file}: has no `//!` header"));
        }
        if header.len() > HEADER {
            complaints.push(format!("{file}: its header has {} lines, more than {HEADER}", header.len()));
        }
        if text.lines().count() > LONG && !header.join("\n").contains("Why so long:") {
            complaints.push(format!("{file}: is over {LONG} lines, and its header has no `Why so long:`"));
        }
    }
    none(complaints);
}

#[test]
fn nothing_is_left_to_do() {
    let stubs = ["todo!", "unimplemented!"];
    let left = files("src", "rs").into_iter().filter(|(_, text)| stubs.iter().any(|stub| text.contains(stub)));
    none(left.map(|(file, _)| format!("{}: has a stub", file.display())).collect());
}

#[test]
fn every_shipped_rule_has_its_test_file() {
    let (tests, yaml): (Vec<_>, Vec<_>) =
        files("rules", "yaml").into_iter().partition(|(file, _)| file.to_str().unwrap().ends_with(".test.yaml"));
    // A file of several rules in the classic form has a test file for each of them beside it.
    let each_tested = |text: &str| {
        let mut ids = text.split("{name: ").skip(1).filter_map(|rest| rest.split(',').next()).peekable();
        ids.peek().is_some() && ids.all(|id| tests.iter().any(|(_, test)| test.starts_with(&format!("rule: {id}\n"))))
    };
    let untested = yaml
        .into_iter()
        .chain(files("rules", "rhai"))
        .filter(|(file, text)| !root().join(file).with_extension("test.yaml").is_file() && !each_tested(text));
    none(untested.map(|(file, _)| format!("{}: has no `{}`", file.display(), file.with_extension("test.yaml").display())).collect());
}

#[test]
fn the_architecture_page_names_only_what_is_there() {
    let Ok(page) = std::fs::read_to_string(root().join("ARCHITECTURE.md")) else { return };
    let named = page.split('`').skip(1).step_by(2).filter(|code| is_path(code));
    none(named.filter(|path| !root().join(path).exists()).map(|path| format!("ARCHITECTURE.md: `{path}` does not exist")).collect());
}

/// Whether a piece of code in a page means a file or folder of ours.
fn is_path(code: &str) -> bool {
    let tops = ["src/", "rules/", "plugins/", "tests/", "docs/", "benches/", "examples/", ".ci/"];
    tops.iter().any(|top| code.starts_with(top)) && !code.contains(['*', '<', '{', ' '])
}

#[test]
fn the_reader_of_imports_sees_groups_and_inline_paths() {
    let text = "use crate::model::{Frame, Snapshot};\nuse crate::{yaml, store::{self, Book},\n    app::App};\nfn f() { crate::cli::run() }\n\
                // crate::deliver\nlet x = my_crate::serve;\nuse crate::clock;\n#[cfg(test)]\nmod tests {\nuse crate::act; }";
    let seen: Vec<String> = imports(&code(text), "crate").into_iter().collect();
    assert_eq!(seen, ["app", "cli", "clock", "model", "store", "yaml"]);
}

#[test]
fn the_table_says_no_where_it_must() {
    for (room, other) in [("alert", "clock"), ("rules", "store"), ("collect", "cli"), ("app", "cli"), ("demo", "model"), ("attic", "model")]
    {
        assert!(may(room, other).is_err(), "{room} -> {other}");
    }
    for (room, other) in [("cli", "app"), ("cli", "demo"), ("app", "deliver"), ("deliver", "store"), ("store", "clock"), ("alert", "alert")]
    {
        assert_eq!(may(room, other), Ok(()));
    }
}
