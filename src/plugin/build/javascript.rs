//! JavaScript: componentize-qjs puts the code beside an interpreter into a component. Node names the line of a slip, which
//! the interpreter does not.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::Language;
use super::tools::{failed, run, said};
use super::{BuildError, Made, Tools, made, outlet};

const MAIN: &str = "main.js";

pub(super) fn build(folder: &Path, tools: &Tools, say: &dyn Fn(&str)) -> Result<Made, BuildError> {
    let tool = find(folder, tools)?;
    check(folder, tools)?;
    say("componentize-qjs");
    let (_kept, component) = outlet()?;
    let mut qjs = Command::new(tool);
    qjs.args(["--wit", "wit", "--world", "plugin", "--js", MAIN, "--module-root"]).arg(root(folder));
    qjs.args(["--stub-wasi", "--sync", "-o"]).arg(&component).current_dir(folder);
    let ran = run(&mut qjs)?;
    made(&component, &ran)
}

fn find(folder: &Path, tools: &Tools) -> Result<PathBuf, BuildError> {
    let name = "componentize-qjs";
    let in_project = || Some(folder.join("node_modules/.bin").join(name)).filter(|path| path.is_file());
    let found = tools.own(&format!("js/node_modules/.bin/{name}")).or_else(in_project).or_else(|| tools.on_path(name));
    found.ok_or_else(|| BuildError::NoTool {
        what: "componentize-qjs",
        how: format!(
            "{}\n(38 MB; Node 18 or later; `pgsteward plugin build --install-tools` does that)",
            tools.install_line(Language::JavaScript)
        ),
    })
}

/// Asks Node whether this is JavaScript at all.
fn check(folder: &Path, tools: &Tools) -> Result<(), BuildError> {
    let node = tools.on_path("node").ok_or_else(|| BuildError::NoTool {
        what: "Node",
        how: "install Node 18 or later (on Debian: apt-get install nodejs npm)".into(),
    })?;
    let main = folder.join(MAIN);
    let text = File::open(&main).map_err(|error| BuildError::File(main, error))?;
    let mut command = Command::new(&node);
    let ran = command.args(["--check", "--input-type=module", "-"]).stdin(text).output();
    let ran = ran.map_err(|error| BuildError::Start(node.display().to_string(), error))?;
    if ran.status.success() { Ok(()) } else { Err(failed(&command, &own_words(&said(&ran)))) }
}

/// What Node says of the author's code, without where in itself it was.
fn own_words(output: &str) -> String {
    let of_node = |line: &&str| line.starts_with("    at ") || line.starts_with("Node.js v");
    output.replace("[stdin]", MAIN).lines().filter(|line| !of_node(line)).collect::<Vec<_>>().join("\n")
}

/// The folder below which imports are followed: the project, or where its kit is a link, the nearest that holds both.
fn root(folder: &Path) -> PathBuf {
    let kit = folder.join("sdk").canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    folder.ancestors().find(|above| kit.starts_with(above)).unwrap_or(folder).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_shown_with_its_line_and_without_nodes_own() {
        let said = "[stdin]:3\nconst a b;\n\nSyntaxError: no\n    at node:internal/x\n\nNode.js v20.1.0\n";
        assert_eq!(own_words(said), "main.js:3\nconst a b;\n\nSyntaxError: no\n");
    }

    #[test]
    fn imports_are_followed_no_further_than_the_kit_needs() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        for below in ["kits/js", "examples/linked", "examples/own/sdk"] {
            std::fs::create_dir_all(top.join(below)).unwrap();
        }
        std::os::unix::fs::symlink("../../kits/js", top.join("examples/linked/sdk")).unwrap();
        assert_eq!(root(&top.join("examples/linked")), top);
        assert_eq!(root(&top.join("examples/own")), top.join("examples/own"));
    }
}
