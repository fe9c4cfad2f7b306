//! A new plugin's project: the language's template with the name filled in, its kit and the contract beside it. All of
//! it is embedded, so that a project fits the pgsteward that made it and making one needs no network.

use std::path::{Path, PathBuf};

use super::{Language, PluginError};
use crate::rules::meta::check_id;

/// Path from the root of pgsteward's sources, and content; see `build.rs`.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/kits.rs"));

/// Where the kit for Rust goes: three crates that find each other by their places. They become part of the project's
/// workspace, since cargo takes every crate below it.
const RUST_KIT: &str = "pgsteward";

/// What is copied for a language: from where, below `plugins/`, to where in the project.
fn parts(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::Rust => {
            &[("templates/rust/", ""), ("sdk/", "pgsteward/sdk/"), ("helpers/", "pgsteward/helpers/"), ("wit/", "pgsteward/wit/")]
        }
        Language::C => &[("templates/c/", ""), ("sdk-c/", "sdk/"), ("wit/v1/", "wit/")],
        Language::JavaScript => &[("templates/js/", ""), ("sdk-js/", "sdk/"), ("wit/v1/", "wit/")],
        Language::Python => &[("templates/python/", ""), ("sdk-python/", "sdk/"), ("wit/v1/", "wit/")],
    }
}

/// Writes a new project and gives back its files, as paths in it.
///
/// # Errors
/// When the name is no id, the folder is there and not empty, or a file cannot be written.
pub fn scaffold(folder: &Path, language: Language, name: &str) -> Result<Vec<PathBuf>, PluginError> {
    check_id(name).map_err(PluginError::Content)?;
    let taken = std::fs::read_dir(folder).map_or_else(|_| folder.exists(), |mut entries| entries.next().is_some());
    if taken {
        return Err(PluginError::Taken(folder.to_path_buf()));
    }
    let files = files(language, name);
    for (place, content) in &files {
        write(&folder.join(place), content)?;
    }
    Ok(files.into_iter().map(|(place, _)| place).collect())
}

/// The files of a project: where each stands in it, and what is in it.
fn files(language: Language, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let fill = |text: &str| text.replace("{{name}}", name).replace("{{sdk}}", &format!("{RUST_KIT}/sdk"));
    let mut files = Vec::new();
    for (from, to) in parts(language) {
        let below = format!("plugins/{from}");
        for (path, content) in FILES.iter().filter_map(|(path, content)| Some((path.strip_prefix(&below)?, *content))) {
            // Only a template has something to fill in; a kit is copied to the byte.
            let text = std::str::from_utf8(content).ok().filter(|_| from.starts_with("templates/"));
            files.push((PathBuf::from(fill(&format!("{to}{path}"))), text.map_or_else(|| content.to_vec(), |text| fill(text).into())));
        }
    }
    files
}

fn write(path: &Path, content: &[u8]) -> Result<(), PluginError> {
    let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, content));
    written.map_err(|error| PluginError::Write(path.to_path_buf(), error))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every file below a folder of pgsteward's sources, as a path from their root.
    fn on_disk(below: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(below)).unwrap().flatten() {
            let path = format!("{below}/{}", entry.file_name().to_str().unwrap());
            let left_behind = ["target", "__pycache__", "plugin.wasm"].iter().any(|name| path.ends_with(name));
            match entry.path().is_dir() {
                _ if left_behind => {}
                true => on_disk(&path, found),
                false => drop(found.insert(path)),
            }
        }
    }

    #[test]
    fn every_file_of_the_templates_and_kits_is_embedded() {
        let mut there = BTreeSet::new();
        for folder in ["templates", "wit", "sdk", "sdk-c", "sdk-js", "sdk-python", "helpers"] {
            on_disk(&format!("plugins/{folder}"), &mut there);
        }
        // For who works on the kits: how they are built and tested, and the pages about kits that explain themselves.
        let ours = |path: &String| {
            ["plugins/templates/BUILD.md", "plugins/sdk-c/README.md", "plugins/sdk-js/README.md", "plugins/sdk-python/README.md"]
                .contains(&path.as_str())
                || ["plugins/sdk/tests/", "plugins/sdk-c/generate/"].iter().any(|folder| path.starts_with(folder))
        };
        there.retain(|path| !ours(path));
        let embedded: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_string()).collect();
        assert_eq!(embedded, there, "build.rs embeds another list than the folders hold");
        for (path, content) in FILES {
            assert!(std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap() == *content, "{path} is stale");
        }
    }

    #[test]
    fn every_project_is_whole_and_has_nothing_left_to_fill_in() {
        for language in Language::ALL {
            let files = files(language, "bloat");
            let names: Vec<&str> = files.iter().map(|(path, _)| path.to_str().unwrap()).collect();
            for needed in [language.mark(), "bloat.test.yaml", "README.md", ".gitignore"] {
                assert!(names.contains(&needed), "{language}: {names:?}");
            }
            assert!(names.iter().any(|name| name.ends_with("wit/plugin.wit") || name.ends_with("wit/v1/plugin.wit")), "{language}");
            for (path, content) in files.iter().filter(|(path, _)| !path.starts_with(RUST_KIT) && !path.starts_with("sdk")) {
                let text = std::str::from_utf8(content).unwrap();
                assert!(!text.contains("{{name}}") && !text.contains("{{sdk}}"), "{language}: {}", path.display());
            }
        }
    }

    #[test]
    fn a_rust_project_says_what_its_kit_is_checked_by() {
        let files = files(Language::Rust, "bloat");
        let of = |name: &str| files.iter().find(|(path, _)| path == Path::new(name)).map(|(_, c)| String::from_utf8(c.clone()).unwrap());
        let manifest = of("Cargo.toml").unwrap();
        // The helpers ask for the lints of their workspace, which is now the project's.
        assert!(manifest.contains("[workspace.lints.rust]") && manifest.contains("path = \"pgsteward/sdk\""), "{manifest}");
        assert!(of("pgsteward/helpers/Cargo.toml").unwrap().contains("workspace = true"));
        assert!(of("pgsteward/sdk/Cargo.toml").unwrap().contains("\"../helpers\""));
    }

    #[test]
    fn nothing_is_written_over_and_no_name_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path, name| scaffold(path, Language::C, name).unwrap_err().to_string();
        for name in ["", "Bloat", "../out", "a b", "1st", "a-b"] {
            assert!(refused(&folder.path().join("new"), name).contains("is not an id"), "{name}");
        }
        assert!(!folder.path().join("new").exists());
        std::fs::write(folder.path().join("mine"), "").unwrap();
        for taken in [folder.path().to_path_buf(), folder.path().join("mine")] {
            assert!(refused(&taken, "bloat").contains("is there already"), "{}", taken.display());
        }
        std::fs::create_dir(folder.path().join("empty")).unwrap();
        assert!(scaffold(&folder.path().join("empty"), Language::C, "bloat").unwrap().contains(&PathBuf::from("main.c")));
    }
}
