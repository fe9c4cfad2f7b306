//! Fills a plugin's messages: `{table}` becomes the row's text, `{dead}` its number in the column's unit, or the value of
//! that evidence or setting.

use crate::model::{ColumnKind, Evidence, Frame, SettingDef, SettingValue, Settings};

/// Where the names of a message are looked up.
pub(super) struct Names<'a> {
    pub(super) row: Option<(&'a Frame, usize)>,
    pub(super) evidence: &'a [Evidence],
    pub(super) settings: &'a Settings,
    pub(super) defs: &'a [SettingDef],
}

/// The filled message.
///
/// # Errors
/// When a brace is open or a name is known nowhere.
pub(super) fn fill(message: &str, names: &Names<'_>) -> Result<String, String> {
    let mut filled = String::with_capacity(message.len() + 32);
    let mut rest = message;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, after) = rest.split_at(at);
        filled.push_str(before);
        if let Some(behind) = after.strip_prefix("{{") {
            filled.push('{');
            rest = behind;
        } else if let Some(behind) = after.strip_prefix("}}") {
            filled.push('}');
            rest = behind;
        } else if let Some((name, behind)) = after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            filled.push_str(&names.shown(name.trim())?);
            rest = behind;
        } else {
            return Err("a `{` or `}` stands alone in a message; write `{{` or `}}`".into());
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

impl Names<'_> {
    fn shown(&self, name: &str) -> Result<String, String> {
        let evidence = self.evidence.iter().find(|e| e.metric == name).map(|e| e.value.map_or_else(unknown, |value| e.unit.show(value)));
        let found = evidence.or_else(|| self.setting(name)).or_else(|| self.cell(name));
        found.ok_or_else(|| format!("a message names `{{{name}}}`, which is no evidence, setting or column of the row"))
    }

    fn setting(&self, name: &str) -> Option<String> {
        let def = self.defs.iter().find(|def| def.name == name)?;
        Some(match self.settings.0.get(name)? {
            SettingValue::Number(value) => def.unit.show(*value),
            SettingValue::Text(text) => text.clone(),
            SettingValue::Flag(flag) => flag.to_string(),
        })
    }

    fn cell(&self, name: &str) -> Option<String> {
        let (frame, row) = self.row?;
        let def = frame.def.column(name)?;
        Some(match def.kind {
            ColumnKind::Label | ColumnKind::Text => frame.text(name, row).map_or_else(unknown, String::from),
            ColumnKind::Flag => frame.number(name, row).map_or_else(unknown, |flag| (flag != 0.0).to_string()),
            ColumnKind::Gauge | ColumnKind::Counter | ColumnKind::Time => {
                frame.number(name, row).map_or_else(unknown, |value| def.unit.show(value))
            }
        })
    }
}

fn unknown() -> String {
    "unknown".into()
}
