//! A component from a core module that carries the type of its world, as `wit-bindgen` leaves it: authors need no tool
//! beside their compiler.

use wit_component::ComponentEncoder;

/// Wraps a core module.
///
/// # Errors
/// When the module says nothing of its world, or imports or exports what the world does not have.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, String> {
    let encoder = ComponentEncoder::default().validate(true).module(module);
    encoder.and_then(|mut encoder| encoder.encode()).map_err(|error| format!("{error:#}"))
}
