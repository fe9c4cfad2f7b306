//! Rust: cargo, for the bare target. Where its standard library is not installed it is built from its sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::tools::run;
use super::{BuildError, Made, Tools, made};

/// Not a WASI target: its standard library imports what no plugin gets.
const TARGET: &str = "wasm32-unknown-unknown";
/// Where Debian's `cargo-web` and `rustc-web` stand, behind a rustup that was asked first.
const DEBIAN: &str = "/usr/bin";

pub(super) fn build(folder: &Path, tools: &Tools, say: &dyn Fn(&str)) -> Result<Made, BuildError> {
    let toolchain = Toolchain::find(folder, tools)?;
    say(if toolchain.builds_std { "cargo build, with the standard library from its sources" } else { "cargo build" });
    let ran = run(&mut toolchain.cargo_build(folder))?;
    let module = artifact(&String::from_utf8_lossy(&ran.stdout), folder).ok_or_else(|| {
        BuildError::Nothing("cargo made no plugin of this package: its Cargo.toml needs `[lib] crate-type = [\"cdylib\", \"rlib\"]`".into())
    })?;
    made(&module, &ran)
}

/// A cargo that can build for the target.
#[derive(Debug)]
struct Toolchain {
    cargo: PathBuf,
    builds_std: bool,
    /// Debian's, which must not find another `rustc` on the way.
    is_debian: bool,
}

impl Toolchain {
    fn find(folder: &Path, tools: &Tools) -> Result<Self, BuildError> {
        let usual = tools.on_path("cargo").zip(tools.on_path("rustc"));
        let debian = usual
            .is_some()
            .then(|| (Path::new(DEBIAN).join("cargo"), Path::new(DEBIAN).join("rustc")))
            .filter(|(cargo, _)| cargo.is_file());
        let candidates = [usual.map(|pair| (pair, false)), debian.map(|pair| (pair, true))];
        let able = |((cargo, rustc), is_debian): ((PathBuf, PathBuf), bool)| {
            let builds_std = builds_std(&rustc, folder)?;
            Some(Self { cargo, builds_std, is_debian })
        };
        candidates.into_iter().flatten().find_map(able).ok_or_else(|| BuildError::NoTool {
            what: "Rust for wasm32-unknown-unknown",
            how: format!("run `rustup target add {TARGET}`\n(without rustup, on Debian: apt-get install rustc-web cargo-web rust-web-src)"),
        })
    }

    fn cargo_build(&self, folder: &Path) -> Command {
        let mut cargo = Command::new(&self.cargo);
        // Where the module is comes from cargo's own messages: workspaces and $CARGO_TARGET_DIR move it.
        cargo
            .args(["build", "--quiet", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
            .current_dir(folder);
        if self.builds_std {
            cargo.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1");
        }
        if self.is_debian {
            cargo.env("PATH", format!("{DEBIAN}:/bin")).env("RUSTC", format!("{DEBIAN}/rustc"));
        }
        cargo
    }
}

/// Whether this `rustc` builds for the target with its own standard library (`false`) or from its sources (`true`).
fn builds_std(rustc: &Path, folder: &Path) -> Option<bool> {
    let ask = |args: &[&str]| {
        let ran = Command::new(rustc).args(args).current_dir(folder).output().ok().filter(|ran| ran.status.success())?;
        Some(PathBuf::from(String::from_utf8(ran.stdout).ok()?.trim()))
    };
    let is_std = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    };
    let libraries = ask(&["--print", "target-libdir", "--target", TARGET])?;
    if std::fs::read_dir(libraries).is_ok_and(|entries| entries.flatten().any(is_std)) {
        return Some(false);
    }
    ask(&["--print", "sysroot"])?.join("lib/rustlib/src/rust/library/Cargo.lock").is_file().then_some(true)
}

/// What is read of cargo's messages.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The module that cargo made of the package in this folder, by its messages.
fn artifact(messages: &str, folder: &Path) -> Option<PathBuf> {
    let own = |path: &Path| path.parent().and_then(|parent| parent.canonicalize().ok()).is_some_and(|parent| parent == folder);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact" && own(&message.manifest_path))
        .flat_map(|message| message.filenames)
        .find(|file| file.extension().is_some_and(|ending| ending == "wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_of_the_package_itself_is_taken_wherever_cargo_put_it() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().canonicalize().unwrap();
        let manifest = here.join("Cargo.toml");
        std::fs::write(&manifest, "").unwrap();
        let line = |manifest: &Path, file: &str| {
            serde_json::json!({"reason": "compiler-artifact", "manifest_path": manifest, "filenames": [file]}).to_string()
        };
        let messages = [
            line(Path::new("/elsewhere/Cargo.toml"), "/t/other.wasm"),
            "not json".into(),
            line(&manifest, "/t/libbloat.rlib"),
            line(&manifest, "/t/release/bloat.wasm"),
            r#"{"reason":"build-finished","success":true}"#.into(),
        ];
        assert_eq!(artifact(&messages.join("\n"), &here), Some("/t/release/bloat.wasm".into()));
        assert_eq!(artifact(&messages[..3].join("\n"), &here), None);
    }
}
