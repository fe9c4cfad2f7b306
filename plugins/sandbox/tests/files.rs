//! Files that are no plugin, or no plugin of ours: each is refused with words that say what to do, and nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::sync::OnceLock;

use pgsteward_sandbox::{
    Component, Engine, Form, LoadError, Refused, compile, componentize, inspect, sections, with_sections, without_sections,
};
use proptest::prelude::*;
use support::{Plugin, with_more};
use wasm_encoder::ComponentSection;

/// Why a file is refused, by all that is done with it until it could run.
fn refused(file: &[u8]) -> String {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| Engine::new().unwrap());
    let refused = compile(engine, file).unwrap_err();
    match Component::from_component(engine, file).unwrap_err() {
        LoadError::Refused(also) => assert_eq!(refused, also, "both doors say the same"),
        other => panic!("{other}"),
    }
    assert!(!refused.to_string().contains('\n'));
    refused.to_string()
}

fn component_of(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

#[test]
fn a_plugin_passes() {
    let component = Plugin::default().component();
    let found = inspect(&component).unwrap();
    assert_eq!((found.form, found.bytes), (Form::Component, component.len()));
    assert_eq!(found.imports, ["pgsteward:plugin/host@1.0.0", "pgsteward:plugin/types@1.0.0"]);
    assert_eq!(found.exports, ["pgsteward:plugin/rules@1.0.0"]);
    found.contract().unwrap();
    let patched = inspect(&Plugin { version: "1.0.7", ..Plugin::default() }.component()).unwrap();
    patched.contract().unwrap();
}

#[test]
fn files_that_are_no_components() {
    let component = Plugin::default().component();
    assert_eq!(refused(b""), "it is no WASM component: it does not begin as a WASM file does");
    assert_eq!(refused(b"#!/bin/sh\nrm -rf /\n"), "it is no WASM component: it does not begin as a WASM file does");
    assert_eq!(refused(b"\0asm"), "it is no WASM component: unexpected end-of-file (at offset 0x4)");
    let cut = refused(&component[..component.len() / 2]);
    assert!(cut.starts_with("it is no WASM component: unexpected end"), "{cut}");
    assert_eq!(refused(&wat::parse_str("(module)").unwrap()), "it is a core module and not yet a component");
    let huge = vec![0; (64 << 20) + 1];
    assert_eq!(refused(&huge), "it has 67108865 bytes, more than the 67108864 that a plugin may have");
}

#[test]
fn components_of_another_world_or_version() {
    assert_eq!(
        refused(&component_of("(component)")),
        "it does not export `pgsteward:plugin/rules`, so it is no pgsteward plugin (exports: nothing)"
    );
    assert_eq!(
        refused(&component_of(r#"(component (instance $i) (export "wasi:http/incoming-handler@0.2.0" (instance $i)))"#)),
        "it does not export `pgsteward:plugin/rules`, so it is no pgsteward plugin (exports: wasi:http/incoming-handler@0.2.0)"
    );
    for version in ["1.7.0", "2.0.0"] {
        assert_eq!(
            refused(&Plugin { version, ..Plugin::default() }.component()),
            format!("it was built for version {version} of the plugin contract; this pgsteward supports 1.0")
        );
    }
    let both = with_more(
        &Plugin { version: "2.0.0", ..Plugin::default() }.component(),
        r#"(instance $i) (export "pgsteward:plugin/rules@1.0.0" (instance $i))"#,
    );
    inspect(&both).unwrap().contract().unwrap();
}

#[test]
fn components_that_want_more_than_a_plugin_gets() {
    let importing = |import: &str| with_more(&component_of(&format!("(component (import \"{import}\" (instance)))")), RULES);
    assert_eq!(
        refused(&importing("wasi:filesystem/types@0.2.3")),
        "it imports `wasi:filesystem/types@0.2.3`, which no plugin gets; build for wasm32-unknown-unknown (Rust), without stdio \
         and files (C), or with `--stub-wasi` (JavaScript, Python)"
    );
    assert_eq!(
        refused(&importing("other:host/secrets@1.0.0")),
        "it imports `other:host/secrets@1.0.0`, which no plugin gets; take it out of the plugin's world; all that a plugin may \
         import is in plugin.wit"
    );
}

const RULES: &str = r#"(instance $i) (export "pgsteward:plugin/rules@1.0.0" (instance $i))"#;

#[test]
fn components_of_another_shape() {
    let engine = Engine::new().unwrap();
    let shape = |component: &[u8]| match Component::from_component(&engine, component).unwrap_err() {
        LoadError::Shape(message) => message,
        other => panic!("{other}"),
    };
    let empty = shape(&component_of(&format!("(component {RULES})")));
    assert!(empty.contains("describe"), "{empty}");
    let other = shape(&with_more(
        &component_of(r#"(component (import "pgsteward:plugin/host@1.0.0" (instance (export "exec" (func (param "sql" string))))))"#),
        RULES,
    ));
    assert!(other.contains("exec"), "{other}");
}

#[test]
fn components_that_no_limit_could_let_run() {
    let refuse = |plugin: Plugin<'_>| refused(&plugin.component());
    let four_gib = refuse(Plugin { memory: "(memory (export \"memory\") 65536)", ..Plugin::default() });
    assert!(four_gib.starts_with("it cannot run here: module memory does not fit"), "{four_gib}");
    assert!(four_gib.ends_with("memory has a minimum byte size of 4294967296 which exceeds the limit of 0x40000000 bytes"), "{four_gib}");
    let wide = refuse(Plugin { fields: "(memory i64 0x10000000000)", ..Plugin::default() });
    assert!(wide.contains("minimum byte size of 72057594037927936"), "{wide}");
    let table = refuse(Plugin { fields: "(table 10000000 funcref)", ..Plugin::default() });
    assert!(table.ends_with("table index 0 has a minimum element size of 10000000 which exceeds the limit of 1000000"), "{table}");
    // With it a plugin could wait for ever without using any fuel.
    let shared = refuse(Plugin { fields: "(memory 1 1 shared)", ..Plugin::default() });
    assert!(shared.contains("threads must be enabled for shared memories"), "{shared}");
    let instances = format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(500));
    let instances = refused(&with_more(&Plugin::default().component(), &instances));
    assert!(instances.contains("exceeds the configured maximum of 400"), "{instances}");
    // What the host keeps of each instance is memory that no limit of a call counts.
    let globals = format!("(core module $m {}) (core instance (instantiate $m))", "(global (mut i64) (i64.const 1))".repeat(300_000));
    let globals = refused(&with_more(&Plugin::default().component(), &globals));
    assert!(globals.contains("exceeds the configured maximum of 4194304 bytes"), "{globals}");
}

#[test]
fn modules_that_cannot_become_components() {
    let refused = |module: &str| componentize(&wat::parse_str(module).unwrap()).unwrap_err();
    assert_eq!(componentize(b"hello").unwrap_err(), "it does not begin as a WASM file does");
    assert_eq!(refused("(component)"), "it is no core module");
    assert_eq!(
        refused("(module)"),
        "it does not export `pgsteward:plugin/rules@1.0.0#evaluate` and its kind, so it is no pgsteward plugin"
    );
    assert_eq!(
        refused(&Plugin { version: "2.0.0", ..Plugin::default() }.wat()),
        "it was built for version 2.0.0 of the plugin contract; this pgsteward supports 1.0"
    );
    let importing = |name: &str| refused(&Plugin::default().wat().replacen("(import", &format!("(import {name} (func)) (import"), 1));
    assert_eq!(
        importing(r#""wasi_snapshot_preview1" "fd_write""#),
        "it imports `wasi_snapshot_preview1.fd_write`, which no plugin gets; build for wasm32-unknown-unknown (Rust), without \
         stdio and files (C), or with `--stub-wasi` (JavaScript, Python)"
    );
    let env = importing(r#""env" "puts""#);
    assert!(env.contains("failed to resolve import `env::puts`"), "{env}");
    let other = refused(r#"(module (func (export "pgsteward:plugin/rules@1.0.0#evaluate") (result i32) (i32.const 0)))"#);
    assert!(other.contains("type mismatch for function `evaluate`"), "{other}");
}

/// `wit-bindgen` leaves a description of the world, which need not be true.
#[test]
fn what_a_module_says_of_its_world_is_not_read() {
    let mut module = wat::parse_str(Plugin::default().wat()).unwrap();
    let section = wasm_encoder::CustomSection { name: "component-type:plugin".into(), data: b"nonsense".into() };
    wasm_encoder::Section::append_to(&section, &mut module);
    assert_eq!(componentize(&module).unwrap(), Plugin::default().component());
}

#[test]
fn compiled_code_that_is_damaged_or_not_ours_is_stale() {
    let engine = Engine::new().unwrap();
    let folder = std::env::temp_dir().join(format!("pgsteward-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("plugin.cwasm");
    let load = |code: &[u8]| {
        std::fs::write(&path, code).unwrap();
        Component::from_compiled(&engine, &path)
    };
    let code = compile(&engine, &Plugin::default().component()).unwrap();
    load(&code).unwrap();
    let damaged = LoadError::Stale("the file is damaged".into());
    for cut in [0, 1, 31, 32, 33, code.len() / 2, code.len() - 1] {
        assert_eq!(load(&code[..cut]).unwrap_err(), damaged);
    }
    for at in (0..code.len()).step_by(code.len() / 50) {
        let mut flipped = code.clone();
        flipped[at] ^= 0x10;
        assert_eq!(load(&flipped).unwrap_err(), damaged, "bit at {at}");
    }
    assert_eq!(load(&Plugin::default().component()).unwrap_err(), damaged, "not compiled at all");
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(matches!(Component::from_compiled(&engine, &path), Err(LoadError::Stale(message)) if message.contains("No such file")));
}

/// Shapes that make a reader work hard for each byte.
#[test]
fn bombs_of_types_and_nesting_are_refused_at_once() {
    let doubled: String = (1..64).map(|n| format!("(type $t{n} (tuple $t{} $t{}))", n - 1, n - 1)).collect();
    let types = component_of(&format!("(component (type $t0 (tuple u8 u8)) {doubled})"));
    assert!(refused(&types).contains("effective type size exceeds the limit"), "{}", refused(&types));
    // Nested by hand, as the text format's own reader does not go so deep. Each level makes an instance of the next.
    let mut nested = component_of("(component)");
    for _ in 0..2_000 {
        let mut outer = component_of("(component)");
        let instance = b"\x01\x00\x00\x00";
        wasm_encoder::RawSection { id: 4, data: &nested }.append_to_component(&mut outer);
        wasm_encoder::RawSection { id: 5, data: instance }.append_to_component(&mut outer);
        nested = outer;
    }
    assert_eq!(inspect(&nested).unwrap().exports, [""; 0]);
    let mut plugin = Plugin::default().component();
    wasm_encoder::RawSection { id: 4, data: &nested }.append_to_component(&mut plugin);
    let deep = compile(&Engine::new().unwrap(), &plugin);
    assert!(deep.is_ok(), "{deep:?}");
}

/// Does to a file all that is done before it runs.
fn pass_every_door(file: &[u8]) {
    let _ = componentize(file);
    if let Ok(found) = inspect(file) {
        assert_eq!(found.bytes, file.len());
        if let Err(refused) = found.contract() {
            assert!(!refused.to_string().contains('\n'));
        }
    }
    let own = sections(file);
    assert_eq!(own.is_ok(), without_sections(file).is_ok());
    if let Ok(own) = own {
        let bare = without_sections(file).unwrap();
        assert_eq!(sections(&bare).unwrap(), []);
        let packed = with_sections(file, &own).unwrap();
        assert_eq!(sections(&packed).unwrap(), own);
        assert_eq!(without_sections(&packed).unwrap(), bare);
    }
}

/// A component with sections, and a core module.
fn whole_files() -> &'static [Vec<u8>; 2] {
    static FILES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    FILES.get_or_init(|| {
        let files = [("tests/a.test.yaml".to_string(), b"cases: []".to_vec()), ("README.md".to_string(), vec![b'#'; 300])];
        [with_sections(&Plugin::default().component(), &files).unwrap(), wat::parse_str(Plugin::default().wat()).unwrap()]
    })
}

proptest! {
    #[test]
    fn random_bytes_pass_every_door(bytes in prop::collection::vec(any::<u8>(), 0..2_000), header in any::<Option<bool>>()) {
        let header: &[u8] = match header {
            None => b"",
            Some(false) => b"\0asm\x01\0\0\0",
            Some(true) => b"\0asm\x0d\0\x01\0",
        };
        pass_every_door(&[header, &bytes].concat());
    }

    #[test]
    fn damaged_files_pass_every_door(
        which in 0..2_usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        doubled in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let mut file = whole_files()[which].clone();
        for (at, byte) in flips {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some((from, length)) = doubled {
            let from = from.index(file.len());
            let piece = file[from..(from + length.index(200)).min(file.len())].to_vec();
            file.splice(from..from, piece);
        }
        file.truncate(cut.map_or(file.len(), |cut| cut.index(file.len())));
        pass_every_door(&file);
    }
}

#[test]
fn whole_files_are_whole() {
    whole_files().iter().for_each(|file| pass_every_door(file));
    let packed = &whole_files()[0];
    assert_eq!(sections(packed).unwrap().len(), 2);
    assert!(matches!(inspect(packed), Ok(found) if found.contract().is_ok()));
    assert!(matches!(inspect(b"\0asm\x01\0\0\0").unwrap().contract(), Err(Refused::Module)));
}
