//! `targets` and `defaults`: who is watched, how to get there, and what it may cost.

use std::path::PathBuf;

use super::budget::{self, Limits};
use super::checked::{Budget, Databases, SSLMODES, TargetConfig};
use super::desk::{Desk, entries, shown};
use super::source::SourceFile;
use super::{dsn, password};
use crate::model::{Labels, Target};
use crate::problem::Problem;
use crate::secret::Secret;
use crate::yaml::{Fields, Key, Node, Value, text_of};

/// What `defaults` and a target both may say.
#[derive(Debug, Clone, Default)]
pub(super) struct Access {
    user: Option<String>,
    password: Option<Secret>,
    sslmode: Option<String>,
    sslrootcert: Option<PathBuf>,
    sslcert: Option<PathBuf>,
    sslkey: Option<PathBuf>,
    databases: Option<Databases>,
    budget: Limits,
}

/// Reads `defaults`.
pub(super) fn defaults(desk: &mut Desk, file: &SourceFile, node: &Node) -> Access {
    let Some(mut fields) = desk.open(file, node, "`defaults`") else { return Access::default() };
    fields.refuse("dsn", "belongs to a target: `defaults` hold what all targets share");
    let access = access(desk, file, node, &mut fields);
    desk.finish(fields);
    access
}

fn access(desk: &mut Desk, file: &SourceFile, node: &Node, fields: &mut Fields<'_>) -> Access {
    // Asked for so that it is known; `password` looks for itself, since an empty one is worth a word.
    fields.node("password");
    Access {
        user: fields.text("user"),
        password: password::read(desk, file, node),
        sslmode: fields.node("sslmode").and_then(|node| desk.word(file, "sslmode", node, &SSLMODES)).map(Into::into),
        sslrootcert: fields.text("sslrootcert").map(|path| file.beside(&path)),
        sslcert: fields.text("sslcert").map(|path| file.beside(&path)),
        sslkey: fields.text("sslkey").map(|path| file.beside(&path)),
        databases: fields.node("databases").and_then(|node| databases(desk, file, node)),
        budget: fields.node("budget").map(|node| budget::read(desk, file, node)).unwrap_or_default(),
    }
}

/// Reads a list of targets into `found`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, node: &Node, defaults: &Access, found: &mut Vec<TargetConfig>) {
    let Value::List(list) = &node.value else {
        let hint = "write `targets:` and below it `- {name: orders-1, dsn: host=orders-1.db}`";
        return desk.error_hint(file, node, format!("`targets` must be a list, this is {}", node.value.kind()), hint);
    };
    for node in list {
        if let Some(target) = target(desk, file, node, defaults) {
            let path = format!("targets.{}", target.target.name);
            if let Some(first) = desk.places.get(&path).cloned() {
                let hint = "the name is a target's identity: each needs its own";
                let message = format!("a target `{}` stands already at {}:{}", target.target.name, first.file, first.at.line);
                desk.error_hint(file, node, message, hint);
                continue;
            }
            desk.place(path, file, node.at);
            found.push(target);
        }
    }
}

fn target(desk: &mut Desk, file: &SourceFile, node: &Node, defaults: &Access) -> Option<TargetConfig> {
    let mut fields = desk.open(file, node, "a target")?;
    let own = access(desk, file, node, &mut fields);
    let name = fields.required("name").and_then(|node| name(desk, file, "name", node));
    if name.as_deref() == Some(Target::OWN) {
        let hint = "alerts about channels and targets themselves have that name; call it otherwise";
        desk.error_hint(file, node, format!("a target cannot be called `{}`", Target::OWN), hint);
    }
    let cluster = fields.node("cluster").and_then(|node| self::name(desk, file, "cluster", node));
    let labels = fields.map("labels").map(|entries| labels(desk, file, entries)).unwrap_or_default();
    let dsn = fields.required("dsn").and_then(|node| connection(desk, file, node, own.password.is_some()));
    desk.finish(fields);
    let (dsn, password) = dsn?;
    let base = defaults.clone();
    Some(TargetConfig {
        target: Target { name: name?, cluster, labels },
        dsn,
        user: own.user.or(base.user),
        password: password.or(own.password).or(base.password),
        sslmode: own.sslmode.or(base.sslmode),
        sslrootcert: own.sslrootcert.or(base.sslrootcert),
        sslcert: own.sslcert.or(base.sslcert),
        sslkey: own.sslkey.or(base.sslkey),
        databases: own.databases.or(base.databases).unwrap_or_default(),
        budget: own.budget.or(base.budget).over(Budget::default()),
    })
}

fn connection(desk: &mut Desk, file: &SourceFile, node: &Node, has_password: bool) -> Option<(String, Option<Secret>)> {
    let Some(text) = text_of(node) else {
        desk.error(file, node, format!("`dsn` must be text, this is {}", node.value.kind()));
        return None;
    };
    let cut = dsn::cut(&text).map_err(|reason| {
        // What cannot be cut may hold a password: its line is not shown.
        desk.plain_secret(file, node);
        desk.error_hint(
            file,
            node,
            format!("`dsn` cannot be read: {reason}"),
            "host=db.corp dbname=app, postgres://db.corp/app or service=name",
        );
    });
    let cut = cut.ok()?;
    if cut.password.is_some() {
        desk.plain_secret(file, node);
        let message = "a password is written out in `dsn`";
        if has_password {
            desk.error_hint(file, node, format!("{message}, and `password` is there too"), "keep only `password`");
        } else {
            desk.warn(file, node, message, "keep it elsewhere: password: {file: /path}, {env: NAME} or {command: [..]}, or ~/.pgpass");
        }
    }
    Some((cut.dsn, cut.password.map(Secret::plain)))
}

/// A name that is safe in fingerprints, file names and messages.
fn name(desk: &mut Desk, file: &SourceFile, key: &str, node: &Node) -> Option<String> {
    let text = text_of(node).filter(|text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
        text.len() <= 100 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(legal)
    });
    if text.is_none() {
        let hint = "letters, digits and . _ - : only, at most 100, a letter or digit first";
        desk.error_hint(file, node, format!("`{key}` cannot be {}", shown(node)), hint);
    }
    text
}

fn labels(desk: &mut Desk, file: &SourceFile, entries: &[(Key, Node)]) -> Labels {
    let mut labels = Labels::default();
    for (key, node) in entries {
        if ["target", "cluster", "severity", "rule", "category"].contains(&key.text.as_str()) {
            let problem = Problem::error(&file.name, key.at, format!("a label cannot be called `{}`", key.text));
            desk.push(problem.hint("every alert has one of that name already"));
        }
        match text_of(node) {
            Some(value) => labels.set(key.text.clone(), value),
            None => desk.error(file, node, format!("the label `{}` must be text, this is {}", key.text, node.value.kind())),
        }
    }
    labels
}

fn databases(desk: &mut Desk, file: &SourceFile, node: &Node) -> Option<Databases> {
    if text_of(node).as_deref() == Some("all") {
        return Some(Databases::All);
    }
    if let Value::Map(_) = node.value {
        let mut fields = desk.open(file, node, "`databases`")?;
        let except = fields.required("all_except").and_then(|_| fields.texts("all_except"));
        desk.finish(fields);
        return except.map(Databases::AllExcept);
    }
    let names: Option<Vec<String>> = entries(node).iter().map(text_of).collect();
    let names = names.filter(|names| !names.is_empty());
    if names.is_none() {
        desk.error_hint(file, node, "`databases` names no database", "write all, [app, shop] or {all_except: [postgres]}");
    }
    names.map(Databases::Only)
}
