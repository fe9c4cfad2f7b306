//! `settings.name` in scripts. A type of its own: on a map, a misspelt setting could be silently false.

use std::sync::Arc;

use super::error::{Answer, wrong};
use super::value::Value;
use crate::model::{Catalog, SettingValue, Settings};

/// The settings of one evaluation.
#[derive(Debug, Clone)]
pub(super) struct ScriptSettings(pub(super) Arc<Settings>);

impl ScriptSettings {
    /// The value of one setting.
    pub(super) fn get(&self, name: &str) -> Answer<Value> {
        match self.0.0.get(name) {
            Some(value) => Ok(setting(value)),
            None => wrong(unknown_setting(self.0.0.keys().map(String::as_str), name)),
        }
    }
}

/// A setting as a value of the language.
pub(super) fn setting(value: &SettingValue) -> Value {
    match value {
        SettingValue::Flag(flag) => Value::Flag(*flag),
        SettingValue::Number(number) => Value::Float(*number),
        SettingValue::Text(text) => Value::text(text.as_str()),
    }
}

/// The sentence for a setting that a rule does not declare.
pub(super) fn unknown_setting<'a>(names: impl Iterator<Item = &'a str>, wrong: &str) -> String {
    let near = Catalog::nearest(names, wrong).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("no setting `{wrong}`{near}")
}
