//! Python: componentize-py runs the code once and puts it with its interpreter into a component.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::Language;
use super::tools::run;
use super::{BuildError, Made, Tools, made, outlet};

pub(super) fn build(folder: &Path, tools: &Tools, say: &dyn Fn(&str)) -> Result<Made, BuildError> {
    let tool = find(tools)?;
    say("componentize-py");
    let (_kept, component) = outlet()?;
    let mut python = Command::new(tool);
    python.args(["-q", "-d", "wit", "-w", "plugin", "componentize", "-p", ".", "-p", "sdk", "--stub-wasi", "main", "-o"]);
    python.arg(&component).current_dir(folder);
    let ran = run(&mut python).map_err(|error| match error {
        BuildError::Failed { command, output } => BuildError::Failed { command, output: own_words(&output) },
        other => other,
    })?;
    made(&component, &ran)
}

fn find(tools: &Tools) -> Result<PathBuf, BuildError> {
    let name = "componentize-py";
    tools.own(&format!("python/bin/{name}")).or_else(|| tools.on_path(name)).ok_or_else(|| BuildError::NoTool {
        what: "componentize-py",
        how: format!("{}\n(`pgsteward plugin build --install-tools` does that)", tools.install_line(Language::Python)),
    })
}

/// What the tool says of the author's code: what its own assertion holds, without its tracebacks before and behind.
fn own_words(output: &str) -> String {
    let own = output.split_once("AssertionError: ").map_or(output, |(_, own)| own);
    let of_tool = |line: &str| {
        let line = line.trim_start();
        let numbered = line.split_once(": ").is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
        numbered || ["at ", "Caused by:", "Stack backtrace"].iter().any(|begin| line.starts_with(begin))
    };
    own.lines().take_while(|line| !of_tool(line)).collect::<Vec<_>>().join("\n").trim_end().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traceback_of_the_author_is_shown_and_that_of_the_tool_is_not() {
        let said = "Traceback (most recent call last):\n  File \"componentize-py\", line 8\nAssertionError:   File \"/0/main.py\", line 3\n\
                    SyntaxError: invalid syntax\n\nCaused by:\n    SyntaxError\n\nStack backtrace:\n   0: std::x\n      at /rustc/y\n";
        assert_eq!(own_words(said), "  File \"/0/main.py\", line 3\nSyntaxError: invalid syntax");
        assert_eq!(own_words("no such world"), "no such world");
    }
}
