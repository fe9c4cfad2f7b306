//! The tools that build plugins: where they are looked for, how one is run, and how those of npm and pip are installed
//! into a folder of pgsteward's own.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::super::Language;
use super::BuildError;
use crate::env::Env;

/// The versions that the kits were tried with.
const QJS: &str = "componentize-qjs@0.4.5";
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";
const ZIG: &str = "ziglang==0.17.1";

/// Where tools are.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Those that pgsteward installed.
    dir: PathBuf,
    env: Env,
}

impl Tools {
    /// Tools in `$PGSTEWARD_TOOLS`, else in this user's cache, and on the `PATH`.
    ///
    /// # Errors
    /// When no folder is known.
    pub fn of(env: &Env) -> Result<Self, BuildError> {
        let cache = || Some(directories::ProjectDirs::from("", "", "pgsteward")?.cache_dir().join("plugin-tools"));
        let dir = env.get("PGSTEWARD_TOOLS").map(PathBuf::from).or_else(cache).ok_or(BuildError::NoPlace)?;
        Ok(Self { dir, env: env.clone() })
    }

    /// A place in the folder of installed tools.
    pub(super) fn place(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    /// A program there, if it is.
    pub(super) fn own(&self, below: &str) -> Option<PathBuf> {
        Some(self.place(below)).filter(|path| is_program(path))
    }

    /// A program on the `PATH`.
    pub(super) fn on_path(&self, name: &str) -> Option<PathBuf> {
        let path = self.env.get("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| is_program(program))
    }

    /// A program in a folder that a variable names.
    pub(super) fn below_variable(&self, variable: &str, below: &str) -> Option<PathBuf> {
        Some(PathBuf::from(self.env.get(variable)?).join(below)).filter(|path| is_program(path))
    }

    /// The commands that install the tool of a language, program first; none for Rust, whose tools are no business of a cache.
    fn installing(&self, language: Language) -> Vec<Vec<String>> {
        let at = |below: &str| self.place(below).display().to_string();
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let python = |package| {
            vec![
                words(&["python3", "-m", "venv", &at("python")]),
                words(&[&at("python/bin/pip"), "install", "--quiet", "--disable-pip-version-check", package]),
            ]
        };
        match language {
            Language::Rust => Vec::new(),
            Language::C => python(ZIG),
            Language::JavaScript => vec![words(&["npm", "install", "--no-fund", "--no-audit", "--prefix", &at("js"), QJS])],
            Language::Python => python(COMPONENTIZE_PY),
        }
    }

    /// The same as one line that can be pasted.
    pub(super) fn install_line(&self, language: Language) -> String {
        let commands: Vec<String> = self.installing(language).iter().map(|words| words.join(" ")).collect();
        commands.join(" && ")
    }

    /// Installs the tool of a language through npm or pip, saying each command before it is run. Nothing for Rust.
    ///
    /// # Errors
    /// When npm or Python is not there, or says no.
    pub fn install(&self, language: Language, say: &dyn Fn(&str)) -> Result<(), BuildError> {
        std::fs::create_dir_all(&self.dir).map_err(|error| BuildError::File(self.dir.clone(), error))?;
        for words in self.installing(language) {
            let Some((program, args)) = words.split_first() else { continue };
            say(&words.join(" "));
            run(Command::new(program).args(args))?;
        }
        Ok(())
    }
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs a tool to its end, without input.
///
/// # Errors
/// When it cannot be started, or says no.
pub(super) fn run(command: &mut Command) -> Result<Output, BuildError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let ran = command.stdin(std::process::Stdio::null()).output().map_err(|error| BuildError::Start(program, error))?;
    if ran.status.success() { Ok(ran) } else { Err(failed(command, &said(&ran))) }
}

/// What a tool said, errors last.
pub(super) fn said(ran: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    [out.trim_end(), err.trim_end()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The error of a tool that said no.
pub(super) fn failed(command: &Command, output: &str) -> BuildError {
    let name = |word: &OsStr| word.to_string_lossy().into_owned();
    let program = Path::new(command.get_program()).file_name().map_or_else(String::new, name);
    let words: Vec<String> = std::iter::once(program).chain(command.get_args().map(name)).collect();
    BuildError::Failed { command: words.join(" "), output: output.trim_end().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_files_that_may_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_str().unwrap();
        let tools = Tools::of(&Env::of([("PATH", at), ("PGSTEWARD_TOOLS", at)])).unwrap();
        let path = folder.path().join("tool");
        std::fs::write(&path, "").unwrap();
        assert_eq!((tools.on_path("tool"), tools.own("tool")), (None, None));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!((tools.on_path("tool"), tools.own("tool")), (Some(path.clone()), Some(path)));
        assert_eq!(tools.on_path("other"), None);
    }

    #[test]
    fn what_is_shown_is_what_is_run() {
        let tools = Tools::of(&Env::of([("PGSTEWARD_TOOLS", "/t")])).unwrap();
        assert_eq!(
            tools.install_line(Language::Python),
            "python3 -m venv /t/python && /t/python/bin/pip install --quiet --disable-pip-version-check componentize-py==0.25.1"
        );
        assert_eq!(tools.install_line(Language::JavaScript), "npm install --no-fund --no-audit --prefix /t/js componentize-qjs@0.4.5");
        assert_eq!(tools.install_line(Language::Rust), "");
    }

    #[test]
    fn a_tool_that_says_no_is_named_with_what_it_said() {
        let error = run(Command::new("/bin/sh").args(["-c", "echo out; echo err >&2; exit 1"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c echo out; echo err >&2; exit 1` failed");
        assert_eq!(error.output(), "out\nerr");
        assert_eq!(run(&mut Command::new("/no/such")).unwrap_err().to_string(), "`/no/such` cannot be started");
    }
}
