//! Machine code of plugins, kept by content hash and engine version in a folder that only this user may write. Damaged
//! code is told by its checksum and made anew.
//!
//! It is made in a child process that lowers its own CPU and memory limits first, because nothing else bounds what
//! compiling a hostile file takes. Its CPU limit ends it as a rule, a wall time in any case.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pgsteward_sandbox::{CompileLimits, Component, Engine, LoadError, compile, lower_own_limits};

use super::{Package, PluginError};

/// Who compiles.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// A child process: this program, which knows the hidden subcommand.
    Child(PathBuf),
    /// This process: for tests of code that is not hostile.
    #[cfg(test)]
    Here,
}

impl Compiler {
    /// This program itself as the child: where Linux tells it, the very file that runs, even after an upgrade has put
    /// another in its place.
    ///
    /// # Errors
    /// When the system does not say where the program stands.
    pub fn child() -> Result<Self, PluginError> {
        let running = PathBuf::from("/proc/self/exe");
        if running.exists() {
            return Ok(Self::Child(running));
        }
        std::env::current_exe().map(Self::Child).map_err(|error| PluginError::Read(running, error))
    }
}

/// The folder of compiled code.
#[derive(Debug, Clone)]
pub struct Compiled {
    dir: PathBuf,
    compiler: Compiler,
}

impl Compiled {
    /// Uses a folder, made if need be.
    ///
    /// # Errors
    /// When it cannot be made, or others may write to it.
    pub fn open(dir: &Path, compiler: Compiler) -> Result<Self, PluginError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| PluginError::Write(dir.to_path_buf(), error))?;
        let of_folder = std::fs::metadata(dir).map_err(|error| PluginError::Read(dir.to_path_buf(), error))?;
        if of_folder.mode() & 0o022 != 0 {
            return Err(PluginError::Shared(dir.to_path_buf()));
        }
        Ok(Self { dir: dir.to_path_buf(), compiler })
    }

    /// A plugin ready to run: from the folder, or compiled now.
    ///
    /// # Errors
    /// When it cannot be compiled or loaded.
    pub fn component(&self, engine: &Engine, package: &Package) -> Result<Component, PluginError> {
        let path = self.dir.join(format!("{}-{}.cwasm", package.inspection.hash, Engine::version()));
        if path.exists() {
            match Component::from_compiled(engine, &path) {
                // Another processor, a damaged disk: make it anew.
                Err(LoadError::Stale(_)) => {}
                loaded => return Ok(loaded?),
            }
        }
        self.make(&package.component, &path)?;
        Ok(Component::from_compiled(engine, &path)?)
    }

    /// Removes the code of one plugin. Whoever runs it has it in memory.
    pub fn forget(&self, hash: &str) {
        // What stays is only disk space.
        self.files_of(hash).for_each(|path| drop(std::fs::remove_file(path)));
    }

    /// The files whose names begin so.
    fn files_of(&self, stem: &str) -> impl Iterator<Item = PathBuf> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter(move |entry| entry.file_name().to_string_lossy().starts_with(stem)).map(|entry| entry.path())
    }

    /// Compiles into place: the file appears whole or not at all.
    fn make(&self, component: &[u8], path: &Path) -> Result<(), PluginError> {
        let write = |error| PluginError::Write(self.dir.clone(), error);
        let work = tempfile::Builder::new().prefix("making-").tempdir_in(&self.dir).map_err(write)?;
        let (from, to) = (work.path().join("component.wasm"), work.path().join("code.cwasm"));
        std::fs::write(&from, component).map_err(write)?;
        match &self.compiler {
            Compiler::Child(program) => child(program, &from, &to)?,
            #[cfg(test)]
            Compiler::Here => compile_here(&from, &to)?,
        }
        std::fs::set_permissions(&to, Permissions::from_mode(0o600)).map_err(write)?;
        std::fs::rename(&to, path).map_err(write)
    }
}

/// Longest wall time of a child, several times its CPU limit.
const WALL: Duration = Duration::from_secs(600);
/// How often it is looked after.
const LOOK: Duration = Duration::from_millis(10);

fn child(program: &Path, from: &Path, to: &Path) -> Result<(), PluginError> {
    let broken = |error| PluginError::Compile(format!("`{}` cannot be run: {error}", program.display()));
    let mut command = Command::new(program);
    command.args(["plugin", "compile"]).arg(from).arg(to).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(broken)?;
    let mut left = WALL;
    while child.try_wait().map_err(broken)?.is_none() && !left.is_zero() {
        std::thread::sleep(LOOK);
        left = left.saturating_sub(LOOK);
    }
    // One that stands still, as a process without memory can, does not end by its CPU limit; one that has ended does not mind.
    child.kill().map_err(broken)?;
    let ran = child.wait_with_output().map_err(broken)?;
    if ran.status.success() {
        return Ok(());
    }
    let limits = CompileLimits::DEFAULT;
    Err(PluginError::Compile(match ran.status.signal() {
        Some(_) => format!(
            "it takes more than {} s of CPU or {} of memory, which is more than any plugin needs",
            limits.cpu_s,
            pgsteward_helpers::bytes(limits.memory_bytes as f64)
        ),
        None => String::from_utf8_lossy(&ran.stderr).trim().trim_start_matches("error: ").to_string(),
    }))
}

/// What the child does: lowers its limits, compiles one file into another.
///
/// # Errors
/// When the limits cannot be lowered, the file is no plugin, or it cannot be written.
pub fn compile_file(from: &Path, to: &Path) -> Result<(), PluginError> {
    lower_own_limits(CompileLimits::DEFAULT).map_err(|error| PluginError::Compile(format!("its limits cannot be set: {error}")))?;
    compile_here(from, to)
}

fn compile_here(from: &Path, to: &Path) -> Result<(), PluginError> {
    let bytes = std::fs::read(from).map_err(|error| PluginError::Read(from.to_path_buf(), error))?;
    let engine = Engine::new().map_err(|error| PluginError::Compile(error.to_string()))?;
    let code = compile(&engine, &bytes)?;
    std::fs::write(to, code).map_err(|error| PluginError::Write(to.to_path_buf(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::guest::Guest;
    use crate::plugin::open;

    fn package(folder: &Path) -> Package {
        let file = folder.join("file.wasm");
        std::fs::write(&file, Guest::default().component()).unwrap();
        open(&file).unwrap()
    }

    #[test]
    fn code_is_made_once_and_anew_when_any_of_its_bytes_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, package) = (Engine::new().unwrap(), package(folder.path()));
        let dir = folder.path().join("compiled");
        let compiled = Compiled::open(&dir, Compiler::Here).unwrap();
        compiled.component(&engine, &package).unwrap();
        let path = compiled.files_of(&package.inspection.hash).next().unwrap();
        let good = std::fs::read(&path).unwrap();
        // A compiler that cannot be started shows that none is needed.
        let lazy = Compiled::open(&dir, Compiler::Child("/nonexistent".into())).unwrap();
        lazy.component(&engine, &package).unwrap();
        for at in (0..good.len()).step_by(good.len() / 7) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(lazy.component(&engine, &package), Err(PluginError::Compile(_))), "byte {at}");
            compiled.component(&engine, &package).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), good);
        }
        compiled.forget(&package.inspection.hash);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_others_may_write_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o720, 0o702, 0o777] {
            std::fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            assert!(matches!(Compiled::open(folder.path(), Compiler::Here), Err(PluginError::Shared(_))), "{mode:o}");
        }
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        assert!(Compiled::open(folder.path(), Compiler::Here).is_ok(), "reading it is no harm");
    }
}
