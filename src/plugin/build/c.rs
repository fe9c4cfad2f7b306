//! C: a clang, or zig as one. Compiler, linker, library and runtime are packages of their own, so a candidate is tried on
//! a small program before it is believed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::Language;
use super::tools::run;
use super::{BuildError, Made, Tools, made, outlet};

const PROBE: &str = "#include <stdlib.h>\n__attribute__((export_name(\"probe\"))) void *probe(size_t n) { return malloc(n); }\n";
/// The target under its old and its new name; Debian's library has the old one.
const TARGETS: [&str; 2] = ["wasm32-wasi", "wasm32-wasip1"];
/// Newest first, beside the plain name.
const CLANGS: [&str; 8] = ["clang", "clang-23", "clang-22", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17"];
/// A library without `main`, whose constructors the host calls; the old name of the target is no news.
const REACTOR: [&str; 3] = ["-Wno-deprecated", "-mexec-model=reactor", "-Os"];

pub(super) fn build(folder: &Path, tools: &Tools, say: &dyn Fn(&str)) -> Result<Made, BuildError> {
    let compiler = Compiler::find(tools, say)?;
    say(&format!("compiling with {}", compiler.program.display()));
    let (_kept, module) = outlet()?;
    let mut cc = compiler.command(tools);
    cc.args(["-s", "-Wall", "-Isdk"]).args(sources(folder)?);
    cc.args(["sdk/plugin.c", "sdk/pgsteward.c", "sdk/plugin_component_type.o", "-o"]).arg(&module).current_dir(folder);
    let ran = run(&mut cc)?;
    made(&module, &ran)
}

/// The C files of the folder itself, by name.
fn sources(folder: &Path) -> Result<Vec<OsString>, BuildError> {
    let entries = std::fs::read_dir(folder).map_err(|error| BuildError::File(folder.to_path_buf(), error))?;
    let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|ending| ending == "c"));
    names.sort();
    Ok(names)
}

/// A program that compiles C, and the target by the name that it knows.
#[derive(Debug)]
struct Compiler {
    program: PathBuf,
    /// What makes the program a compiler: `-m ziglang cc`.
    before: &'static [&'static str],
    target: &'static str,
}

impl Compiler {
    fn find(tools: &Tools, say: &dyn Fn(&str)) -> Result<Self, BuildError> {
        let (_kept, module) = outlet()?;
        let source = module.with_file_name("probe.c");
        std::fs::write(&source, PROBE).map_err(|error| BuildError::File(source.clone(), error))?;
        for (program, before) in candidates(tools) {
            for target in TARGETS {
                let compiler = Self { program: program.clone(), before, target };
                say(&format!("trying {}", program.display()));
                if run(compiler.command(tools).arg(&source).arg("-o").arg(&module)).is_ok() {
                    return Ok(compiler);
                }
            }
        }
        Err(BuildError::NoTool {
            what: "C compiler for WebAssembly",
            how: format!(
                "install one of\n  Debian, Ubuntu:   apt-get install --no-install-recommends clang-22 lld-22 libclang-rt-22-dev-wasm32 wasi-libc\n  \
                 without root:     {}\n                    (`pgsteward plugin build --install-tools` does the second)",
                tools.install_line(Language::C)
            ),
        })
    }

    fn command(&self, tools: &Tools) -> Command {
        let mut cc = Command::new(&self.program);
        cc.args(self.before).arg(format!("--target={}", self.target)).args(REACTOR);
        // Or zig leaves 53 MB elsewhere.
        cc.env("ZIG_GLOBAL_CACHE_DIR", tools.place("zig-cache"));
        cc
    }
}

/// Programs worth trying, with what makes them compilers.
fn candidates(tools: &Tools) -> Vec<(PathBuf, &'static [&'static str])> {
    const ZIG: &[&str] = &["-m", "ziglang", "cc"];
    let clangs = CLANGS.into_iter().filter_map(|name| tools.on_path(name));
    let plain = tools.below_variable("WASI_SDK_PATH", "bin/clang").into_iter().chain(clangs).map(|clang| (clang, [].as_slice()));
    let zigs = [(tools.own("python/bin/python3"), ZIG), (tools.on_path("zig"), ["cc"].as_slice()), (tools.on_path("python3"), ZIG)];
    plain.chain(zigs.into_iter().filter_map(|(program, before)| Some((program?, before)))).collect()
}
