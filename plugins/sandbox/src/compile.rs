//! From a component to machine code. wasmtime puts no limit on the time and memory that this takes, and a hostile file
//! of a few megabytes can take minutes. So the host runs it in a child process that lowers its own limits first.

use sha2::{Digest, Sha256};

use crate::engine::TABLE_BYTES;
use crate::words::one_line;
use crate::{Engine, Refused, inspect};

/// What compiling may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// CPU time in seconds.
    pub cpu_s: u64,
    /// Memory in bytes, beside what an engine reserves.
    pub memory_bytes: u64,
}

impl CompileLimits {
    /// An interpreter made into a component takes 13 s; the file of an attack takes as long as it is let.
    pub const DEFAULT: Self = Self { cpu_s: 120, memory_bytes: 2 << 30 };
}

/// Lowers this process's limits for good: for the child that compiles. One that is lower already stays. Whoever waits for
/// the child must also end it by the clock: a process without memory may stand still and use no time at all.
///
/// # Errors
/// When the system does not let it.
pub fn lower_own_limits(limits: CompileLimits) -> std::io::Result<()> {
    use rlimit::{Resource, getrlimit, setrlimit};
    let lower = |resource: Resource, soft: u64, hard: u64| {
        let (_, most) = getrlimit(resource)?;
        setrlimit(resource, soft.min(most), hard.min(most))
    };
    lower(Resource::CPU, limits.cpu_s, limits.cpu_s + 1)?;
    let data = limits.memory_bytes.saturating_add(TABLE_BYTES);
    lower(Resource::DATA, data, data)?;
    lower(Resource::CORE, 0, 0)
}

/// Compiles a component that `inspect` has let pass. What comes out is for `Component::from_compiled`, and begins with the
/// hash of the rest: a file that a full disk or a crash has cut short must never be taken for machine code.
///
/// # Errors
/// When it is no plugin, or cannot run here: too many memories, a table that is too large.
pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    Ok(seal(&component(engine, bytes)?.serialize().map_err(unfit)?))
}

/// The component as machine code.
pub(crate) fn component(engine: &Engine, bytes: &[u8]) -> Result<wasmtime::component::Component, Refused> {
    inspect(bytes)?.contract()?;
    wasmtime::component::Component::from_binary(&engine.inner, bytes).map_err(unfit)
}

fn unfit(error: wasmtime::Error) -> Refused {
    Refused::Unfit(one_line(&format!("{error:#}")))
}

pub(crate) fn seal(code: &[u8]) -> Vec<u8> {
    let mut sealed = Sha256::digest(code).to_vec();
    sealed.extend(code);
    sealed
}

/// The code, if it is as it was sealed.
pub(crate) fn unseal(sealed: &[u8]) -> Option<&[u8]> {
    let (hash, code) = sealed.split_at_checked(32)?;
    (Sha256::digest(code).as_slice() == hash).then_some(code)
}
