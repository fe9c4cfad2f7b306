//! A component from a core module that carries the type of its world, as `wit-bindgen` leaves it: authors need no tool
//! beside their compiler.

use std::panic::catch_unwind;

use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use crate::inspect::{is_wasm, mend};
use crate::words::one_line;

/// Wraps a core module. What comes out is still to be inspected.
///
/// # Errors
/// When the module says nothing of its world, or imports or exports what the world does not have.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, String> {
    is_wasm(module)?;
    let mut tells_its_world = false;
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(|error| one_line(&error.to_string()))? {
            Payload::CustomSection(section) => tells_its_world |= section.name().starts_with("component-type"),
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(|error| one_line(&error.to_string()))?;
                    if import.module.starts_with("wasi_") {
                        let name = one_line(&format!("{}.{}", import.module, import.name));
                        return Err(format!("it imports `{name}`, which no plugin gets; {}", mend("wasi:")));
                    }
                }
            }
            _ => {}
        }
    }
    if !tells_its_world {
        return Err("it has no section `component-type`, so it does not say of what world it is; build it with wit-bindgen".into());
    }
    // A damaged section makes the encoder panic; it has no state that could be left half-done.
    let encoded = catch_unwind(|| ComponentEncoder::default().validate(true).module(module).and_then(|mut encoder| encoder.encode()));
    let encoded = encoded.map_err(|_| "its section `component-type` makes no sense".to_string())?;
    encoded.map_err(|error| one_line(&format!("{error:#}")))
}
