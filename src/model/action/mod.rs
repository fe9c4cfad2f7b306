//! Optimization actions: typed kinds with parameters, from which the host builds SQL. ONE FILE A KIND.
//!
//! A rule names a kind and parameters; it never writes SQL. What a kind builds is advice to be read and pasted: nothing
//! here runs anything, and until the room `act` exists nothing else does. Identifiers come from a server and are
//! hostile, so every name goes through `quote`.

mod alter_table_storage;
mod analyze;
mod cancel_backend;
mod create_index;
mod drop_index;
mod drop_slot;
mod note;
pub mod quote;
mod reindex;
mod set_parameter;
mod terminate_backend;
mod vacuum;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Labels;

/// What could be done, as a rule asks for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionRequest {
    /// Kind, one of `KINDS`.
    pub kind: String,
    /// Whom it acts on: the labels of the row.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub subject: Labels,
    /// Parameters of the kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Why, for a person; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl ActionRequest {
    /// The SQL that it stands for; `None` for a note.
    ///
    /// # Errors
    /// When the kind is unknown, a parameter is missing, unknown or not legal, or a label of the subject is missing.
    pub fn sql(&self) -> Result<Option<String>, String> {
        let kind = kind(&self.kind)?;
        kind.check(self)?;
        (kind.sql)(self)
    }

    /// What takes it back; `None` where nothing does.
    ///
    /// # Errors
    /// As for `sql`.
    pub fn undo(&self) -> Result<Option<String>, String> {
        (kind(&self.kind)?.undo)(self)
    }

    /// A label of the subject, required.
    fn label(&self, name: &str) -> Result<&str, String> {
        self.subject.get(name).ok_or_else(|| format!("action `{}` needs a subject with a `{name}`", self.kind))
    }

    /// A parameter, required.
    fn param(&self, name: &str) -> Result<&str, String> {
        self.params.get(name).map(String::as_str).ok_or_else(|| format!("action `{}` needs the parameter `{name}`", self.kind))
    }

    /// Whether a flag parameter is set to true.
    fn is_set(&self, name: &str) -> bool {
        self.params.get(name).is_some_and(|v| v == "true")
    }

    /// `schema.table` of the subject, quoted.
    fn table(&self) -> Result<String, String> {
        Ok(quote::qualified(self.label("schema")?, self.label("table")?))
    }
}

/// How much can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Reads, or work that autovacuum does anyway.
    Low,
    /// Takes locks or resources that users may feel.
    Medium,
    /// Ends sessions, loses something, or changes plans.
    High,
}

/// The legal values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParamKind {
    /// `true` or `false`.
    Flag,
    /// An integer within bounds.
    Integer(i64, i64),
    /// A decimal number within bounds.
    Number(f64, f64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any text; quoted where it goes into SQL.
    Text,
}

/// One parameter of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Name.
    pub name: &'static str,
    /// Legal values.
    pub kind: ParamKind,
    /// One line.
    pub doc: &'static str,
}

/// One kind of action.
#[derive(Debug)]
pub struct ActionKind {
    /// Name as rules write it.
    pub name: &'static str,
    /// One line: what it does.
    pub doc: &'static str,
    /// Parameters.
    pub params: &'static [Param],
    /// Heaviest lock it takes, in PostgreSQL's words; empty when none on a user's relation.
    pub lock: &'static str,
    /// How much can go wrong.
    pub risk: Risk,
    /// Whether it should wait for a maintenance window.
    pub needs_window: bool,
    /// What must hold just before it runs, for a person.
    pub precondition: &'static str,
    /// What the next snapshot must show when it worked, for a person.
    pub verify: &'static str,
    /// Builds the SQL.
    pub sql: fn(&ActionRequest) -> Result<Option<String>, String>,
    /// Builds what takes it back.
    pub undo: fn(&ActionRequest) -> Result<Option<String>, String>,
}

/// All kinds.
pub const KINDS: &[&ActionKind] = &[
    &alter_table_storage::KIND,
    &analyze::KIND,
    &cancel_backend::KIND,
    &create_index::KIND,
    &drop_index::KIND,
    &drop_slot::KIND,
    &note::KIND,
    &reindex::KIND,
    &set_parameter::KIND,
    &terminate_backend::KIND,
    &vacuum::KIND,
];

/// The kind of that name.
///
/// # Errors
/// When there is none; names the nearest.
pub fn kind(name: &str) -> Result<&'static ActionKind, String> {
    KINDS.iter().copied().find(|k| k.name == name).ok_or_else(|| {
        let nearest = super::Catalog::nearest(KINDS.iter().map(|k| k.name), name);
        let hint = nearest.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
        format!("unknown action `{name}`{hint}")
    })
}

impl ActionKind {
    /// Whether the parameters of a request are known and legal. Missing ones show when the SQL is built.
    ///
    /// # Errors
    /// Names the parameter and its legal values.
    pub fn check(&self, request: &ActionRequest) -> Result<(), String> {
        request.params.iter().try_for_each(|(name, value)| self.check_param(name, value))
    }

    /// The same for one parameter.
    ///
    /// # Errors
    /// Names the parameter and its legal values.
    pub fn check_param(&self, name: &str, value: &str) -> Result<(), String> {
        let Some(param) = self.params.iter().find(|p| p.name == name) else {
            let known: Vec<&str> = self.params.iter().map(|p| p.name).collect();
            return Err(format!("action `{}` has no parameter `{name}` (known: {})", self.name, known.join(", ")));
        };
        let (legal, expected) = match param.kind {
            ParamKind::Flag => (matches!(value, "true" | "false"), "true or false".to_string()),
            ParamKind::Integer(low, high) => {
                (value.parse().is_ok_and(|n: i64| (low..=high).contains(&n)), format!("an integer {low}..{high}"))
            }
            ParamKind::Number(low, high) => {
                (value.parse().is_ok_and(|n: f64| (low..=high).contains(&n)), format!("a number {low}..{high}"))
            }
            ParamKind::Word(words) => (words.contains(&value), format!("one of {}", words.join(", "))),
            ParamKind::Text => (!value.contains('\0'), "text without a NUL".into()),
        };
        if legal { Ok(()) } else { Err(format!("action `{}`: `{name}` must be {expected}, not `{value}`", self.name)) }
    }
}

/// For kinds that nothing takes back.
fn no_undo(_: &ActionRequest) -> Result<Option<String>, String> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, subject: &[(&str, &str)], params: &[(&str, &str)]) -> ActionRequest {
        ActionRequest {
            kind: kind.into(),
            subject: subject.iter().copied().collect(),
            params: params.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            why: String::new(),
        }
    }

    const TABLE: &[(&str, &str)] = &[("database", "shop"), ("schema", "public"), ("table", "x\"; drop table y; --")];

    #[test]
    fn hostile_names_are_quoted_in_every_kind_that_names_a_table() {
        let vacuum = request("vacuum", TABLE, &[("analyze", "true")]).sql().unwrap().unwrap();
        assert_eq!(vacuum, r#"VACUUM (ANALYZE) public."x""; drop table y; --""#);
        let storage = request("alter_table_storage", TABLE, &[("fillfactor", "85")]).sql().unwrap().unwrap();
        assert_eq!(storage, r#"ALTER TABLE public."x""; drop table y; --" SET (fillfactor = 85)"#);
    }

    #[test]
    fn unknown_kinds_and_parameters_are_refused_by_name() {
        assert_eq!(request("vacum", TABLE, &[]).sql(), Err("unknown action `vacum`; did you mean `vacuum`?".into()));
        assert_eq!(
            request("vacuum", TABLE, &[("full", "true")]).sql(),
            Err("action `vacuum` has no parameter `full` (known: analyze, freeze)".into())
        );
        assert_eq!(
            request("terminate_backend", &[], &[("pid", "1; drop table x")]).sql(),
            Err("action `terminate_backend`: `pid` must be an integer 1..4194304, not `1; drop table x`".into())
        );
    }

    #[test]
    fn kinds_are_named_after_their_files_and_sorted() {
        let names: Vec<&str> = KINDS.iter().map(|k| k.name).collect();
        assert!(names.is_sorted());
    }
}
