//! From a project's folder to `plugin.wasm`, ONE FILE A LANGUAGE. Each finds its tool, runs it without a shell, and hands
//! back what it made; here it becomes a component, is held against the contract, and is put in place whole.
//!
//! A build that fails leaves the earlier `plugin.wasm`. Nothing is installed here without being asked; see `tools`.

mod c;
mod error;
mod javascript;
mod python;
mod rust;
mod tools;

use std::path::{Path, PathBuf};
use std::process::Output;

use pgsteward_sandbox::{Form, componentize, inspect};

use super::shelf::write_whole;
use super::{Language, PluginError};

pub use error::BuildError;
pub use tools::Tools;

/// The name of what is built, in a project's folder.
pub const BUILT: &str = "plugin.wasm";
/// What a C library wants of a host that has files and clocks.
const WASI: &str = "wasi_snapshot_preview1";

/// What came of a build.
#[derive(Debug)]
pub struct Built {
    /// The component's file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: usize,
    /// What it was built from.
    pub language: Language,
    /// What the compiler warns of.
    pub warnings: String,
}

/// What a tool made: WASM of either form, and what it warns of.
struct Made {
    wasm: Vec<u8>,
    warnings: String,
}

/// Builds the project of a folder; `say` is told what is being done.
///
/// # Errors
/// When the folder holds no project, its tool is not there or says no, or what it made is no plugin.
pub fn build(folder: &Path, tools: &Tools, say: &dyn Fn(&str)) -> Result<Built, BuildError> {
    let language = Language::of_folder(folder)?;
    let folder = folder.canonicalize().map_err(|error| BuildError::File(folder.to_path_buf(), error))?;
    say(&format!("looking for what builds {language}"));
    let made = match language {
        Language::Rust => rust::build(&folder, tools, say),
        Language::C => c::build(&folder, tools, say),
        Language::JavaScript => javascript::build(&folder, tools, say),
        Language::Python => python::build(&folder, tools, say),
    }?;
    let component = component(made.wasm)?;
    let path = folder.join(BUILT);
    write_whole(&path, &component)?;
    Ok(Built { path, bytes: component.len(), language, warnings: made.warnings })
}

/// The component of what a tool made, if it is a plugin.
fn component(made: Vec<u8>) -> Result<Vec<u8>, BuildError> {
    let found = inspect(&made).map_err(PluginError::from)?;
    let wasi: Vec<String> =
        found.imports.iter().filter_map(|name| Some(name.strip_prefix(WASI)?.trim_start_matches("::").to_string())).collect();
    if !wasi.is_empty() {
        return Err(BuildError::Wasi(wasi));
    }
    let component = match found.form {
        Form::Component => made,
        Form::Module => componentize(&made).map_err(PluginError::Module)?,
    };
    inspect(&component).and_then(|found| found.contract()).map_err(PluginError::from)?;
    Ok(component)
}

/// Where a tool is told to leave what it makes: a folder that goes away, and a file in it.
fn outlet() -> Result<(tempfile::TempDir, PathBuf), BuildError> {
    let folder = tempfile::tempdir().map_err(|error| BuildError::File(std::env::temp_dir(), error))?;
    let file = folder.path().join(BUILT);
    Ok((folder, file))
}

/// What a tool left there.
fn made(path: &Path, ran: &Output) -> Result<Made, BuildError> {
    let wasm = std::fs::read(path).map_err(|error| BuildError::File(path.to_path_buf(), error))?;
    Ok(Made { wasm, warnings: String::from_utf8_lossy(&ran.stderr).trim_end().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    /// A machine without any tool.
    fn bare() -> Tools {
        Tools::of(&Env::of([("PATH", "/nonexistent"), ("PGSTEWARD_TOOLS", "/nonexistent")])).unwrap()
    }

    #[test]
    fn a_machine_without_the_tool_is_told_how_to_get_it() {
        for (language, what) in [
            (Language::C, "no C compiler for WebAssembly: install one of\n"),
            (Language::JavaScript, "no componentize-qjs: npm install "),
            (Language::Python, "no componentize-py: python3 -m venv "),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(language.mark()), "").unwrap();
            let error = build(folder.path(), &bare(), &|_| ()).unwrap_err();
            assert!(matches!(error, BuildError::NoTool { .. }) && error.to_string().starts_with(what), "{error}");
            assert!(error.to_string().contains(&bare().install_line(language)), "{error}");
        }
    }

    #[test]
    fn what_wants_a_file_system_is_named_by_what_it_calls() {
        // (module (import "wasi_snapshot_preview1" "fd_write" (func)))
        let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x23\x01\x16".to_vec();
        module.extend_from_slice(b"wasi_snapshot_preview1\x08fd_write\0\0");
        let said = component(module).unwrap_err().to_string();
        assert_eq!(said, "the code uses files, output or a clock (fd_write), which a plugin has not; use `pgs_log`");
    }

    #[test]
    fn a_module_of_another_world_is_no_plugin() {
        let said = component(b"\0asm\x01\0\0\0".to_vec()).unwrap_err().to_string();
        assert!(
            said.starts_with("it does not export `pgsteward:plugin/rules`") || said.contains("without the type of its world"),
            "{said}"
        );
        assert!(component(b"not wasm".to_vec()).unwrap_err().to_string().starts_with("it is no WASM"));
    }
}
