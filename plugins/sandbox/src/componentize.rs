//! A component from a core module, as a compiler leaves it: authors need no tool beside their compiler.
//!
//! What the module itself says of its world (a section `component-type` of `wit-bindgen`) is not read: the library that
//! reads it can be made to call itself without end. The names of the exports say which version of the contract is meant,
//! and the contract's types are ours.

use wasmparser::{Parser, Payload, Validator};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::Refused;
use crate::inspect::{PACKAGE, features, is_supported, is_wasm, mend};
use crate::section::without;
use crate::words::one_line;

/// The contract, in its version 1.0.0.
const CONTRACT: &str = include_str!("../../wit/v1/plugin.wit");

/// Wraps a core module. What comes out is still to be inspected.
///
/// # Errors
/// When it is no core module of a supported contract, or imports or exports what the contract does not have.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, String> {
    is_wasm(module)?;
    if !Parser::is_core_wasm(module) {
        return Err("it is no core module".into());
    }
    Validator::new_with_features(features()).validate_all(module).map_err(shown)?;
    let version = version_of(module)?;
    let mut module = without(module, |name| name.starts_with("component-type"))?;
    embed(&mut module, &version).map_err(shown)?;
    let encoder = ComponentEncoder::default().validate(true).module(&module);
    encoder.and_then(|mut encoder| encoder.encode()).map_err(shown)
}

/// The version in the names that it exports; it must be one that this host runs.
fn version_of(module: &[u8]) -> Result<String, String> {
    let mut found = None;
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(shown)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(shown)?;
                    if import.module.starts_with("wasi_") {
                        let name = format!("{}.{}", import.module, import.name);
                        return Err(Refused::Import { import: one_line(&name), mend: mend("wasi:") }.to_string());
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let name = export.map_err(shown)?.name.strip_prefix(PACKAGE).and_then(|name| name.strip_prefix("rules@"));
                    found = found.or(name.and_then(|name| name.split_once('#')).map(|(version, _)| version));
                }
            }
            _ => {}
        }
    }
    match found {
        None => Err(format!("it does not export `{PACKAGE}rules@1.0.0#evaluate` and its kind, so it is no pgsteward plugin")),
        Some(version) if is_supported(version) => Ok(version.to_string()),
        Some(version) => Err(Refused::Version { found: one_line(version) }.to_string()),
    }
}

/// Writes the contract's types into a module.
fn embed(module: &mut Vec<u8>, version: &str) -> Result<(), impl std::fmt::Display + use<>> {
    let contract = CONTRACT.replacen("pgsteward:plugin@1.0.0", &format!("pgsteward:plugin@{version}"), 1);
    let mut resolve = Resolve::default();
    let package = resolve.push_source("plugin.wit", &contract)?;
    let world = resolve.select_world(&[package], Some("plugin"))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
}

fn shown(error: impl std::fmt::Display) -> String {
    one_line(&format!("{error:#}"))
}
