//! The engine: one a process. Machine code for this processor, fuel and epochs counted in it, pools for instances.
//!
//! Epochs are ticked by a thread that sleeps while no call is running, so that an idle service costs nothing.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::Limits;

/// Why no plugin can run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugins cannot run here: {0}")]
pub struct Unavailable(pub String);

/// Wall time between two epochs, in milliseconds.
const EPOCH_MS: u64 = 10;
/// Calls that run at the same time; more are refused as busy.
const CALLS: u32 = 16;
/// Stack of one call, in bytes.
const STACK_BYTES: usize = 512 << 10;
/// Memory that a slot keeps between calls, in bytes: three columns of 100,000 tables and what is found in them.
const RESIDENT_BYTES: usize = 8 << 20;
/// Virtual memory a linear memory reserves, in bytes: all that 32 bits can address, so that no access is checked twice.
const RESERVED_BYTES: u64 = 4 << 30;

/// Bytes that the system counts as this process's own although nothing is in them: the room for all tables, in whole pages.
pub(crate) const TABLE_BYTES: u64 = TABLES * (Limits::MAX.table_elements * 8).next_multiple_of(64 << 10);
/// Tables, and linear memories, of all calls together.
const TABLES: u64 = 2 * Limits::MAX.memories;

/// The engine with its clock.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: wasmtime::Engine,
    clock: Arc<Clock>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

#[derive(Debug, Default)]
struct Clock {
    running: Mutex<u64>,
    started: Condvar,
}

impl Engine {
    /// Makes the engine.
    ///
    /// # Errors
    /// When this machine does not let a program make code: hardened services and some SELinux policies forbid it.
    pub fn new() -> Result<Self, Unavailable> {
        let inner = wasmtime::Engine::new(&config()).map_err(|error| Unavailable(format!("{error:#}")))?;
        let engine = Self { inner, clock: Arc::default() };
        engine.start_clock();
        engine.probe()?;
        Ok(engine)
    }

    /// What compiled code depends on: code of another engine is not loaded.
    #[must_use]
    pub fn version() -> &'static str {
        "wasmtime-48.0-pgsteward-1"
    }

    /// Whether code can be made and run here at all, by the smallest component there is with a function.
    fn probe(&self) -> Result<(), Unavailable> {
        let module = smallest_module();
        wasmtime::Module::new(&self.inner, module).map(drop).map_err(|error| {
            Unavailable(format!("this process may not make executable memory ({error:#}); allow it (systemd: MemoryDenyWriteExecute=no)"))
        })
    }

    fn start_clock(&self) {
        let (clock, engine) = (Arc::downgrade(&self.clock), self.inner.weak());
        std::thread::spawn(move || {
            while let (Some(clock), Some(engine)) = (clock.upgrade(), engine.upgrade()) {
                clock.wait_for_a_call();
                engine.increment_epoch();
                drop((clock, engine));
                std::thread::sleep(Duration::from_millis(EPOCH_MS));
            }
        });
    }

    /// Keeps the clock going as long as the returned value lives.
    pub(crate) fn running(&self) -> Running<'_> {
        *self.clock.running.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.clock.started.notify_one();
        Running(&self.clock)
    }

    /// Epochs that a wall time comes to; never less than asked.
    pub(crate) fn epochs(wall_ms: u64) -> u64 {
        wall_ms.div_ceil(EPOCH_MS) + 1
    }
}

impl Clock {
    /// Returns when a call is running; looks up once a second whether the engine is still there.
    fn wait_for_a_call(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.started.wait_timeout_while(running, Duration::from_secs(1), |running| *running == 0));
    }
}

/// A call is running.
pub(crate) struct Running<'a>(&'a Clock);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Its results differ between processors, and a verdict must not.
        .wasm_relaxed_simd(false)
        // A person reads the plugin's last words, not where in its code it stood.
        .wasm_backtrace_max_frames(None)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_reservation(RESERVED_BYTES)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pools()));
    config
}

fn pools() -> PoolingAllocationConfig {
    let most = Limits::MAX;
    let mut pools = PoolingAllocationConfig::default();
    pools
        .total_component_instances(CALLS)
        .total_core_instances(CALLS * most.instances as u32)
        .max_core_instances_per_component(most.instances as u32)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .total_memories(TABLES as u32)
        .max_memories_per_component(most.memories as u32)
        .max_memories_per_module(most.memories as u32)
        .max_memory_size(most.memory_bytes as usize)
        .total_tables(TABLES as u32)
        .max_tables_per_component(most.memories as u32)
        .max_tables_per_module(most.memories as u32)
        .table_elements(most.table_elements as usize)
        // Pages that stay are zeroed instead of given back and faulted in anew: four times faster for a large frame. Calls
        // come one after the other as a rule, so few slots are warm.
        .linear_memory_keep_resident(RESIDENT_BYTES)
        .max_unused_warm_slots(2);
    pools
}

/// `(module (func))`.
fn smallest_module() -> Vec<u8> {
    use wasm_encoder::{CodeSection, Function, FunctionSection, Module, TypeSection};
    let (mut types, mut functions, mut code) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([], []);
    functions.function(0);
    let mut body = Function::new([]);
    body.instructions().end();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    module.finish()
}
