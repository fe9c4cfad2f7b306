//! `password`: which way leads to it. Whatever stands here may be the password itself, written in a way that YAML reads
//! as something else, so no message repeats it and the line is shown only when it is a way for certain.

use super::desk::Desk;
use super::source::SourceFile;
use crate::problem::Problem;
use crate::secret::{Secret, Way};
use crate::yaml::{Key, Node, Value, text_of};

const WAYS: &str = "say where it is: {file: /path}, {env: NAME} or {command: [program, argument]}";

/// Reads the `password` of a target or of `defaults`: `{file: ..}`, `{env: ..}`, `{command: [..]}` or, with a warning, the
/// plain value.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, owner: &Node) -> Option<Secret> {
    let Value::Map(entries) = &owner.value else { return None };
    let (key, node) = entries.iter().find(|(key, _)| key.text == "password")?;
    match &node.value {
        Value::Null => {
            desk.plain_secret(file, node);
            let problem = Problem::warning(&file.name, key.at, "`password` has no value");
            desk.push(problem.hint("quote a password that begins with # & or !"));
            None
        }
        Value::Number(_) => {
            desk.plain_secret(file, node);
            desk.error_hint(file, node, "`password` reads as a number, which may change it", "quote it, or better keep it elsewhere");
            None
        }
        Value::Text(_) | Value::Flag(_) => {
            desk.plain_secret(file, node);
            let hint = "keep it elsewhere: {file: /path}, {env: NAME} or {command: [..]}, or leave it to ~/.pgpass";
            desk.warn(file, node, "`password` is written out in the config", hint);
            text_of(node).map(Secret::plain)
        }
        Value::Map(entries) => way(desk, file, node, entries),
        Value::List(_) => {
            desk.plain_secret(file, node);
            desk.error_hint(file, node, "`password` cannot be a list", WAYS);
            None
        }
    }
}

fn way(desk: &mut Desk, file: &SourceFile, node: &Node, entries: &[(Key, Node)]) -> Option<Secret> {
    let ways = entries.iter().map(|(key, node)| match key.text.as_str() {
        "file" => text_of(node).map(|path| Way::File(file.beside(&path))),
        "env" => text_of(node).map(Way::Env),
        "command" => command(node),
        _ => None,
    });
    let ways: Option<Vec<Way>> = ways.collect();
    let Some([way]) = ways.as_deref() else {
        desk.plain_secret(file, node);
        desk.error_hint(file, node, "`password` is not one way to a secret", format!("{WAYS}; quote a password that begins with {{"));
        return None;
    };
    let secret = Secret(way.clone());
    if let Some((message, hint)) = secret.doubt(&desk.env) {
        desk.warn(file, node, message, hint);
    }
    Some(secret)
}

fn command(node: &Node) -> Option<Way> {
    let words: Option<Vec<String>> = super::desk::entries(node).iter().map(text_of).collect();
    words.filter(|words| words.first().is_some_and(|program| !program.is_empty())).map(Way::Command)
}
