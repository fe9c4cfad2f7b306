//! Embeds what the program carries with it: the shipped rules, and what `plugin new` writes into a new project. Walks the
//! folders and writes tables of paths and contents.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// What `plugin new` writes: templates, each language's kit and the contract, as `src/plugin/scaffold.rs` knows them.
const KITS: [&str; 16] = [
    "plugins/templates/rust",
    "plugins/templates/c",
    "plugins/templates/js",
    "plugins/templates/python",
    "plugins/wit",
    "plugins/helpers",
    "plugins/sdk/Cargo.toml",
    "plugins/sdk/README.md",
    "plugins/sdk/src",
    "plugins/sdk-c/pgsteward.h",
    "plugins/sdk-c/pgsteward.c",
    "plugins/sdk-c/plugin.h",
    "plugins/sdk-c/plugin.c",
    "plugins/sdk-c/plugin_component_type.o",
    "plugins/sdk-js/pgsteward.js",
    "plugins/sdk-python/pgsteward.py",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let is_rule = |path: &Path| path.extension().is_some_and(|e| e == "yaml" || e == "rhai");
    embed(&root, &["rules"], is_rule, "include_str", &out.join("shipped_rules.rs"))?;
    // What tools leave behind in these folders is nobody's template.
    let is_source = |path: &Path| !path.iter().any(|part| part == "target" || part == "__pycache__" || part == "plugin.wasm");
    embed(&root, &KITS, is_source, "include_bytes", &out.join("kits.rs"))
}

/// Writes a table of the files below some folders: path from the project's root, and content.
fn embed(root: &Path, from: &[&str], wanted: impl Fn(&Path) -> bool, how: &str, table: &Path) -> Result<(), Box<dyn Error>> {
    let mut files = Vec::new();
    for from in from {
        println!("cargo::rerun-if-changed={from}");
        walk(&root.join(from), &mut files)?;
    }
    files.sort();
    let mut text = String::from("&[\n");
    for file in &files {
        let path = file.strip_prefix(root)?;
        if wanted(path) {
            println!("cargo::rerun-if-changed={}", file.display());
            let shown = path.to_string_lossy().replace('\\', "/");
            writeln!(text, "    ({shown:?}, {how}!({:?})),", file.display().to_string())?;
        }
    }
    text.push_str("]\n");
    fs::write(table, text)?;
    Ok(())
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        walk(&entry?.path(), files)?;
    }
    Ok(())
}
