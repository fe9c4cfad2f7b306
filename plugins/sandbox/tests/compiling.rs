//! Compiling in a process of its own: a file that would take minutes or gigabytes takes its limit and no more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use pgsteward_sandbox::{CompileLimits, Component, Engine, Limits, compile, lower_own_limits};
use support::{Plugin, evaluate_with};

/// Tells the child where the files are, and its limits.
const FOLDER: &str = "PGSTEWARD_COMPILE_FOLDER";
const CPU: &str = "PGSTEWARD_COMPILE_CPU_S";
const MEMORY: &str = "PGSTEWARD_COMPILE_MEMORY";

/// What runs in the child. Does nothing when the tests run as usual.
#[test]
#[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let number = |name: &str| std::env::var(name).unwrap().parse().unwrap();
    lower_own_limits(CompileLimits { cpu_s: number(CPU), memory_bytes: number(MEMORY) }).unwrap();
    let wasm = std::fs::read(Path::new(&folder).join("plugin.wasm")).unwrap();
    let code = compile(&Engine::new().unwrap(), &wasm).unwrap();
    std::fs::write(Path::new(&folder).join("plugin.cwasm"), code).unwrap();
}

fn compile_in_child(folder: &Path, wasm: &[u8], limits: CompileLimits) -> ExitStatus {
    std::fs::write(folder.join("plugin.wasm"), wasm).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--test-threads=1"])
        .envs([(FOLDER, folder.display().to_string()), (CPU, limits.cpu_s.to_string()), (MEMORY, limits.memory_bytes.to_string())])
        // Out of memory while it writes a backtrace, a process stands still.
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap()
        .status
}

/// Functions that are a lot of work for each of their bytes.
fn laborious(functions: usize) -> Vec<u8> {
    let step = "(local.set $n (i32.mul (i32.add (local.get $n) (i32.load (local.get $n))) (i32.const 3)))
        (if (local.get $n) (then (i32.store (local.get $n) (local.get $m)) (local.set $m (i32.rotl (local.get $m) (local.get $n)))))";
    let body = step.repeat(400);
    let fields: String = (0..functions).map(|_| format!("(func (local $n i32) (local $m i32) {body})")).collect();
    Plugin { fields: &fields, ..Plugin::default() }.component()
}

/// A folder that is gone with its value.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pgsteward-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_plugin_compiles_within_the_usual_limits_and_runs() {
    let folder = Folder::new("compiles");
    let ended = compile_in_child(&folder.0, &Plugin::default().component(), CompileLimits::DEFAULT);
    assert!(ended.success(), "{ended}");
    let component = Component::from_compiled(&Engine::new().unwrap(), &folder.0.join("plugin.cwasm")).unwrap();
    assert!(evaluate_with(&component, &Limits::DEFAULT, std::sync::Arc::new(pgsteward_sandbox::NoTexts)).answer.is_ok());
}

#[test]
fn a_file_that_takes_too_long_is_killed_when_its_time_is_used_up() {
    let folder = Folder::new("takes-long");
    let ended = compile_in_child(&folder.0, &laborious(800), CompileLimits { cpu_s: 1, ..CompileLimits::DEFAULT });
    // SIGXCPU, or SIGKILL a second later.
    assert!(matches!(ended.signal(), Some(24 | 9)), "{ended}");
    assert!(!ended.core_dumped());
    assert!(!folder.0.join("plugin.cwasm").exists());
}

#[test]
fn a_file_that_takes_too_much_memory_ends_its_own_process() {
    let folder = Folder::new("takes-much");
    let ended = compile_in_child(&folder.0, &laborious(800), CompileLimits { memory_bytes: 64 << 20, ..CompileLimits::DEFAULT });
    // SIGABRT: an allocation failed.
    assert_eq!(ended.signal(), Some(6), "{ended}");
    assert!(!ended.core_dumped());
    assert!(!folder.0.join("plugin.cwasm").exists());
}
