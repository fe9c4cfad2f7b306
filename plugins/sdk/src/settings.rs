//! What operators may set: a struct with a field for each setting; `plugin!` makes it.

use crate::wire::{Entry, SettingDef, Value};

/// A struct of settings.
pub trait Settings: Default {
    /// What the settings are, in the order of the fields.
    fn defs() -> Vec<SettingDef>;

    /// Reads them; one that is not given keeps its default.
    ///
    /// # Errors
    /// Names each that is not of its type.
    fn read(entries: &[Entry]) -> Result<Self, Vec<String>>;
}

/// For a rule without settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoSettings;

impl Settings for NoSettings {
    fn defs() -> Vec<SettingDef> {
        Vec::new()
    }

    fn read(_: &[Entry]) -> Result<Self, Vec<String>> {
        Ok(Self)
    }
}

/// The type of a setting: `f64`, `bool` or `String`.
pub trait Setting: Sized {
    /// What it is called in messages.
    const KIND: &'static str;

    /// As it crosses.
    fn value(self) -> Value;

    /// Back again; `None` when it is of another type.
    fn of(value: &Value) -> Option<Self>;
}

impl Setting for f64 {
    const KIND: &'static str = "a number";

    fn value(self) -> Value {
        Value::Number(self)
    }

    fn of(value: &Value) -> Option<Self> {
        if let Value::Number(number) = value { Some(*number) } else { None }
    }
}

impl Setting for bool {
    const KIND: &'static str = "true or false";

    fn value(self) -> Value {
        Value::Flag(self)
    }

    fn of(value: &Value) -> Option<Self> {
        if let Value::Flag(flag) = value { Some(*flag) } else { None }
    }
}

impl Setting for String {
    const KIND: &'static str = "a text";

    fn value(self) -> Value {
        Value::Text(self)
    }

    fn of(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.clone()) } else { None }
    }
}

/// Reads one setting into its field; the last entry of a name counts.
#[doc(hidden)]
pub fn read_settings<T: Setting>(entries: &[Entry], name: &str, field: &mut T, wrong: &mut Vec<String>) {
    let Some(entry) = entries.iter().rev().find(|entry| entry.key == name) else { return };
    match T::of(&entry.value) {
        Some(value) => *field = value,
        None => wrong.push(format!("setting `{name}` must be {}", T::KIND)),
    }
}
