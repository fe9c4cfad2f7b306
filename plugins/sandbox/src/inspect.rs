//! What a file is, read without running any of it: form, contract and version, imports.

use sha2::{Digest, Sha256};
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

use crate::section::is_whole;
use crate::words::one_line;

/// Package of the contract.
pub(crate) const PACKAGE: &str = "pgsteward:plugin/";
/// Largest file that is looked at, in bytes: an interpreter made into a component has 18 MB.
const MOST_BYTES: usize = 64 << 20;
/// Versions that a host of this build runs.
const SUPPORTED: [&str; 1] = ["1.0"];

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A component.
    Component,
    /// A core module that can be made into one.
    Module,
}

/// The contract that a component was built for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contract {
    /// Version 1.
    V1,
}

/// What could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Component or module.
    pub form: Form,
    /// Size in bytes.
    pub bytes: usize,
    /// SHA-256 of the file, hex.
    pub hash: String,
    /// Names that the component imports, for a core module `module::name` of each import; hostile text.
    pub imports: Vec<String>,
    /// Names that it exports; hostile text.
    pub exports: Vec<String>,
}

/// Why a file is no plugin, in words for its author or operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Larger than anything that is looked at.
    #[error("it has {0} bytes, more than the {MOST_BYTES} that a plugin may have")]
    TooLarge(usize),
    /// Not WASM, or broken.
    #[error("it is no WASM component: {0}")]
    NotWasm(String),
    /// A core module: `componentize` makes a component of it.
    #[error("it is a core module and not yet a component")]
    Module,
    /// WASM that this engine does not run: larger than what an operator could allow, or of a kind that is switched off.
    #[error("it cannot run here: {0}")]
    Unfit(String),
    /// A component of another world.
    #[error("it does not export `{PACKAGE}rules`, so it is no pgsteward plugin (exports: {0})")]
    WrongWorld(String),
    /// Another version of the contract.
    #[error("it was built for version {found} of the plugin contract; this pgsteward supports {supported}", supported = SUPPORTED.join(", "))]
    Version {
        /// The version that the component names.
        found: String,
    },
    /// It wants something that no plugin gets.
    #[error("it imports `{import}`, which no plugin gets; {mend}")]
    Import {
        /// The name.
        import: String,
        /// What its author should do.
        mend: &'static str,
    },
}

/// Reads what a file is.
///
/// # Errors
/// When it is too large or no valid WASM.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, Refused> {
    if bytes.len() > MOST_BYTES {
        return Err(Refused::TooLarge(bytes.len()));
    }
    is_wasm(bytes).map_err(Refused::NotWasm)?;
    let not_wasm = |error: wasmparser::BinaryReaderError| Refused::NotWasm(one_line(&error.to_string()));
    Validator::new_with_features(features()).validate_all(bytes).map_err(not_wasm)?;
    let hash = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut found = Inspection { form: Form::Module, bytes: bytes.len(), hash, imports: Vec::new(), exports: Vec::new() };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(not_wasm)?;
        is_whole(&payload, bytes).map_err(Refused::NotWasm)?;
        match payload {
            Payload::Version { encoding: Encoding::Component, .. } if depth == 0 => found.form = Form::Component,
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ImportSection(section) if depth == 0 && found.form == Form::Module => {
                for import in section.into_imports() {
                    let import = import.map_err(not_wasm)?;
                    found.imports.push(format!("{}::{}", import.module, import.name));
                }
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    found.imports.push(import.map_err(not_wasm)?.name.name.to_string());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    found.exports.push(export.map_err(not_wasm)?.name.name.to_string());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Whether it begins as WASM does; a person may have given any file.
pub(crate) fn is_wasm(bytes: &[u8]) -> Result<(), String> {
    if bytes.starts_with(b"\0asm") { Ok(()) } else { Err("it does not begin as a WASM file does".into()) }
}

/// What wasmtime is set to run.
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::default() - WasmFeatures::RELAXED_SIMD
}

impl Inspection {
    /// The contract that it was built for, if it can be run.
    ///
    /// # Errors
    /// When it is of another world or version, or imports more than the contract's own interfaces.
    pub fn contract(&self) -> Result<Contract, Refused> {
        if self.form == Form::Module {
            return Err(Refused::Module);
        }
        let rules = format!("{PACKAGE}rules@");
        let versions: Vec<&str> = self.exports.iter().filter_map(|name| name.strip_prefix(&rules)).collect();
        match versions.first() {
            None => return Err(Refused::WrongWorld(list(&self.exports))),
            // A plugin may serve hosts of several versions.
            Some(_) if versions.iter().any(|version| is_supported(version)) => {}
            Some(_) => return Err(Refused::Version { found: one_line(&versions.join(", ")) }),
        }
        let own = |name: &String| ["host@", "types@"].iter().any(|part| name.starts_with(&format!("{PACKAGE}{part}")));
        match self.imports.iter().find(|name| !own(name)) {
            Some(import) => Err(Refused::Import { import: one_line(import), mend: mend(import) }),
            None => Ok(Contract::V1),
        }
    }
}

/// Whether a host of this build runs that version, whatever its last number.
pub(crate) fn is_supported(version: &str) -> bool {
    let patch = version.rsplit_once('.').filter(|(minor, _)| SUPPORTED.contains(minor)).map(|(_, patch)| patch);
    patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { one_line(&names.join(", ")) }
}

/// What the author of a plugin with this import should do.
pub(crate) fn mend(import: &str) -> &'static str {
    if import.starts_with("wasi:") {
        "build for wasm32-unknown-unknown (Rust), without stdio and files (C), or with `--stub-wasi` (JavaScript, Python)"
    } else {
        "take it out of the plugin's world; all that a plugin may import is in plugin.wit"
    }
}
