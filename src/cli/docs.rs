//! `docs` (hidden): writes the reference pages from the code, so that they cannot drift. A test compares them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use crate::app::plugins::Plugins;
use crate::app::setup;
use crate::deliver::card::Card;
use crate::deliver::{channels, template};
use crate::model::action::{KINDS, ParamKind};
use crate::model::{FrameDef, MissingReason, RuleMeta, Sensitivity, SettingValue};
use crate::rules::rhai::functions::FUNCTIONS;

/// Write the reference pages
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder
    #[arg(default_value = "docs/reference")]
    out: PathBuf,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&args.out)?;
    for (name, text) in pages() {
        let path = args.out.join(name);
        std::fs::write(&path, text).with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All pages: file name and text.
pub fn pages() -> Vec<(&'static str, String)> {
    let rules = setup::load_rules(&[], Plugins::default());
    let mut metas: Vec<&RuleMeta> = rules.set.iter().map(|r| r.meta()).collect();
    metas.sort_by_key(|m| (&m.category, &m.id));
    let defs: Vec<&FrameDef> = rules.set.catalog().frames().map(AsRef::as_ref).collect();
    vec![
        ("frames.md", frames(&defs)),
        ("rules.md", rules_page(&metas)),
        ("language.md", language()),
        ("actions.md", actions()),
        ("channels.md", channels_page()),
        ("cli.md", cli()),
    ]
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

const HEAD: &str = "<!-- Made from the code by `cargo run -- docs`; do not edit. -->\n\n";

fn frames(defs: &[&FrameDef]) -> String {
    let mut text = format!("{HEAD}# Frames: what rules can read\n\n");
    text.push_str("A value that a server does not have is unknown, never zero. A frame that could not be read is missing, with one of these reasons: ");
    text.push_str(&MissingReason::ALL.map(|r| format!("`{r}`")).join(", "));
    text.push_str(".\n");
    for def in defs {
        let key = if def.key.is_empty() { "one row a server".to_string() } else { format!("one row a {}", def.key.join(", ")) };
        line(&mut text, &format!("\n## {}\n\n{} ({key})\n\n| column | kind | unit | doc |\n|---|---|---|---|", def.name, def.doc));
        for c in &def.columns {
            let shy = if c.sensitivity == Sensitivity::Public { "" } else { " (sensitive)" };
            line(&mut text, &format!("| {} | {} | {} | {}{shy} |", c.name, c.kind.as_str(), c.unit, c.doc.replace('|', "\\|")));
        }
    }
    text
}

fn rules_page(metas: &[&RuleMeta]) -> String {
    let mut text = format!(
        "{HEAD}# Shipped rules\n\n{} rules. Tiers: `page` wakes somebody, `ticket` waits for working hours, `advice` stands in the report.\n",
        metas.len()
    );
    let mut category = "";
    for m in metas {
        if m.category != category {
            category = &m.category;
            line(&mut text, &format!("\n## {category}"));
        }
        line(&mut text, &format!("\n### {}\n\n{} (`{}`, pack `{}`)\n", m.id, m.title, m.tier, m.pack));
        let inputs: Vec<String> = m.inputs.iter().map(|i| format!("`{i}`")).collect();
        line(&mut text, &format!("Reads {}.\n", inputs.join(", ")));
        for s in &m.settings {
            let default = match &s.default {
                SettingValue::Number(v) => s.unit.show(*v),
                SettingValue::Flag(v) => v.to_string(),
                SettingValue::Text(v) => v.clone(),
            };
            line(&mut text, &format!("- `{}` (default {default}): {}", s.name, s.doc));
        }
        line(&mut text, &format!("\n{}", m.runbook.trim()));
    }
    text
}

fn language() -> String {
    let mut text = format!("{HEAD}# Functions of the rule language\n\n");
    text.push_str("For scripts and for the expressions of the rich YAML form. `x.f(y)` is `f(x, y)`.\n\n| call | answer |\n|---|---|\n");
    for function in FUNCTIONS {
        let (call, answer) = function.doc.split_once("): ").map_or((function.doc, ""), |(call, answer)| (call, answer));
        let close = if answer.is_empty() { "" } else { ")" };
        line(&mut text, &format!("| `{call}{close}` | {} |", answer.replace('|', "\\|")));
    }
    text
}

fn actions() -> String {
    let mut text = format!("{HEAD}# Actions: what rules can advise\n\nNothing is run: the SQL is shown, to be read and pasted.\n");
    for k in KINDS {
        let risk = serde_json::to_value(k.risk).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default();
        line(
            &mut text,
            &format!(
                "\n## {}\n\n{}. Risk {risk}{}.\n",
                k.name,
                k.doc,
                if k.lock.is_empty() { String::new() } else { format!(", takes `{}`", k.lock) }
            ),
        );
        for p in k.params {
            let values = match p.kind {
                ParamKind::Flag => "true or false".to_string(),
                ParamKind::Integer(low, high) => format!("integer {low}..{high}"),
                ParamKind::Number(low, high) => format!("number {low}..{high}"),
                ParamKind::Word(words) => words.join(", "),
                ParamKind::Text => "text".into(),
            };
            line(&mut text, &format!("- `{}` ({values}): {}", p.name, p.doc));
        }
        if !k.precondition.is_empty() {
            line(&mut text, &format!("\nBefore: {}. After: {}.", k.precondition, k.verify));
        }
    }
    text
}

fn channels_page() -> String {
    let mut text = format!("{HEAD}# Channels\n");
    for k in channels::KINDS {
        line(&mut text, &format!("\n## {}\n\n{}\n\n```yaml\n{}\n```", k.name, k.doc, k.example.trim_end()));
    }
    templates(&mut text);
    text
}

fn templates(text: &mut String) {
    text.push_str("\n## Templates\n\nChannels that people read word a notice as you like: `templates: {title: .., body: ..}`, each a text or `{file: ..}`, in the language of Jinja. ");
    text.push_str("`title` is one line of plain text, `body` is in the receiver's own markup. Where a message tells of several notices, each is made by itself. ");
    text.push_str("What a template writes out is always escaped for the receiver, so that no name from a database is obeyed. ");
    text.push_str("A name that does not exist is refused; a label that a notice has not is written as nothing (`{{ labels.team|default('nobody') }}` says another word). `config check` tries every template; one that fails later is told in the usual words, with the reason.\n\n| name | what it is |\n|---|---|\n");
    for (name, doc) in Card::FIELDS {
        line(text, &format!("| `{name}` | {doc} |"));
    }
    text.push_str("\n| filter | what it makes |\n|---|---|\n");
    for (name, doc) in template::FILTERS {
        line(text, &format!("| `{name}` | {} |", doc.replace('|', "\\|")));
    }
}

fn cli() -> String {
    let mut text = format!("{HEAD}# Commands\n");
    let mut root = super::Cli::command();
    root.build();
    help(&mut root, &mut text);
    text
}

fn help(command: &mut clap::Command, text: &mut String) {
    let name = command.get_bin_name().unwrap_or("pgsteward").to_string();
    let shown = command.clone().term_width(100).render_long_help().to_string();
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    line(text, &format!("\n## {name}\n\n```text\n{}\n```", lines.join("\n").trim_end()));
    for sub in command.get_subcommands_mut().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        help(sub, text);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn reference_pages_are_fresh() {
        for (name, text) in super::pages() {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
            let there = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(there == text, "docs/reference/{name} is stale: run `cargo run -- docs`");
        }
    }
}
