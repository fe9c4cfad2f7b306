//! The wire, made from `plugins/wit/v1/plugin.wit`. Authors see its plain records (`Finding`, `Action`, ...) and nothing else of it.
#![allow(missing_docs, unsafe_code, clippy::all, rustdoc::all, reason = "made from the WIT file, whose comments document it")]

wit_bindgen::generate!({
    path: "../wit/v1",
    world: "plugin",
    pub_export_macro: true,
    default_bindings_module: "pgsteward_sdk::bindings",
    runtime_path: "pgsteward_sdk::runtime",
    additional_derives: [PartialEq],
});
