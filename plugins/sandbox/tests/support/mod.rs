//! Plugins made of text: a core module that keeps to the contract, of which a test replaces a part.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;

use pgsteward_sandbox::v1::Called;
use pgsteward_sandbox::v1::bindings::pgsteward::plugin::types::{Evaluation, Input};
use pgsteward_sandbox::{Component, Engine, Limits, NoTexts, Texts, componentize};

/// An answer of nothing stands here: 64 zero bytes.
pub const NOTHING: &str = "(i32.const 1024)";

/// The parts of a core module.
pub struct Plugin<'a> {
    /// Version of the contract.
    pub version: &'a str,
    /// The memory that is exported.
    pub memory: &'a str,
    /// More memories, tables, functions, data.
    pub fields: &'a str,
    /// What `cabi_realloc` does; its parameters are old pointer, old size, alignment, new size.
    pub realloc: &'a str,
    /// What `describe` does.
    pub describe: &'a str,
    /// What `validate-settings` does.
    pub validate: &'a str,
    /// What `evaluate` does; locals `$n` and `$m` are at hand.
    pub evaluate: &'a str,
}

impl Default for Plugin<'_> {
    fn default() -> Self {
        let realloc = "(global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
            (global.get $free) (global.set $free (i32.add (global.get $free) (local.get 3)))";
        let memory = "(memory $main (export \"memory\") 1)";
        Self { version: "1.0.0", memory, fields: "", realloc, describe: NOTHING, validate: NOTHING, evaluate: NOTHING }
    }
}

impl Plugin<'_> {
    /// The text of the core module.
    pub fn wat(&self) -> String {
        let Self { version, memory, fields, realloc, describe, validate, evaluate } = self;
        format!(
            r#"(module
              (import "pgsteward:plugin/host@{version}" "log" (func $log (param i32 i32 i32)))
              (import "pgsteward:plugin/host@{version}" "text" (func $text (param i32 i32 i32 i32 i32)))
              {memory}
              (global $free (mut i32) (i32.const 8192))
              {fields}
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
              (func (export "pgsteward:plugin/rules@{version}#describe") (result i32) {describe})
              (func (export "pgsteward:plugin/rules@{version}#validate-settings") (param i32 i32 i32 i32) (result i32) {validate})
              (func (export "pgsteward:plugin/rules@{version}#evaluate")
                (param i32 i32 f64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (local $n i32) (local $m i32)
                {evaluate}))"#
        )
    }

    /// The component, which names that version of the contract even if no host runs it.
    pub fn component(&self) -> Vec<u8> {
        if !self.version.starts_with("1.0.") {
            let ours = Self { version: "1.0.0", ..*self }.component();
            return wat::parse_str(wasmprinter::print_bytes(ours).unwrap().replace("@1.0.0", &format!("@{}", self.version))).unwrap();
        }
        componentize(&wat::parse_str(self.wat()).unwrap()).unwrap()
    }
}

/// The component with more text at its end.
pub fn with_more(component: &[u8], more: &str) -> Vec<u8> {
    let text = wasmprinter::print_bytes(component).unwrap();
    let body = text.trim_end().strip_suffix(')').unwrap();
    wat::parse_str(format!("{body}\n{more})")).unwrap()
}

/// Loads a component and evaluates nothing with it.
pub fn evaluate(engine: &Engine, component: &[u8], limits: &Limits) -> Called<Evaluation> {
    evaluate_with(&Component::from_component(engine, component).unwrap(), limits, Arc::new(NoTexts))
}

pub fn evaluate_with(component: &Component, limits: &Limits, texts: Arc<dyn Texts>) -> Called<Evaluation> {
    let input = Input { now: 0.0, frames: &[], columns: &[], firing: &[], settings: &[], extra: &[] };
    component.evaluate(limits, texts, "rule", input)
}
