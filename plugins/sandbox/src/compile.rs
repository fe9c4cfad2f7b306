//! From a component to machine code. wasmtime puts no limit on the time and memory that this takes, and a hostile file
//! of a few megabytes can take minutes. So the host runs it in a child process that lowers its own limits first.

use crate::{Engine, Refused, inspect};

/// What compiling may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// CPU time in seconds.
    pub cpu_s: u64,
    /// Address space in bytes: the pools of the engine reserve much of it without using it.
    pub memory_bytes: u64,
}

impl CompileLimits {
    /// An interpreter made into a component takes 13 s; the file of an attack takes as long as it is let.
    pub const DEFAULT: Self = Self { cpu_s: 120, memory_bytes: 3 << 30 };
}

/// Lowers this process's limits for good: for the child that compiles.
///
/// # Errors
/// When the system does not let it.
pub fn lower_own_limits(limits: CompileLimits) -> std::io::Result<()> {
    use rlimit::Resource;
    rlimit::setrlimit(Resource::CPU, limits.cpu_s, limits.cpu_s + 1)?;
    rlimit::setrlimit(Resource::DATA, limits.memory_bytes, limits.memory_bytes)?;
    rlimit::setrlimit(Resource::CORE, 0, 0)
}

/// Compiles a component that `inspect` has let pass.
///
/// # Errors
/// When it is no plugin, or cannot be compiled: too many memories, a table that is too large.
pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    inspect(bytes)?.contract()?;
    let refused = |error: wasmtime::Error| Refused::NotWasm(format!("{error:#}"));
    let component = wasmtime::component::Component::from_binary(&engine.inner, bytes).map_err(refused)?;
    component.serialize().map_err(refused)
}
