//! The contract's types, generated from `plugins/wit/v1`.

#![allow(unsafe_code, missing_docs, clippy::all, reason = "generated; what the items mean stands in the WIT")]

wasmtime::component::bindgen!({
    path: "../wit/v1",
    world: "plugin",
    imports: { default: trappable },
    ownership: Borrowing { duplicate_if_necessary: true },
});
