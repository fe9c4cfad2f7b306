//! What the rule would say of the same tick with the settings that it came with: asked where overrides change it.

use serde::Serialize;

use super::inputs::SettingPart;
use super::scene::{Judged, Scene};
use crate::model::{Labels, RuleOverride, Severity};
use crate::rules::OWN_PACK;

/// What the rule would say as it came, where that is something else than what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AsShipped {
    /// Its own values of the settings that are changed: `critical: 5 x`; none when it is not the settings that matter but
    /// what else an override says: that it is off, or how severe it may be.
    pub settings: Vec<String>,
    /// How bad it would find the subject; `None` when it would find nothing.
    pub severity: Option<Severity>,
    /// Whether somebody here wrote the rule, so that its own values are not shipped ones.
    pub is_own: bool,
}

/// The difference that the overrides of the config make for a subject; `None` when they make none.
pub(super) fn of<'a>(scene: &Scene<'a>, judged: &Judged<'a>, subject: &Labels, settings: &[SettingPart]) -> Option<AsShipped> {
    let is_own = scene.meta?.pack == OWN_PACK;
    let overrides = &scene.wishes.overrides;
    let bare = |over: &RuleOverride| RuleOverride { settings: Default::default(), ..over.clone() };
    let with_own_settings: Vec<RuleOverride> = overrides.iter().map(bare).collect();
    let now = judged.severity_of(subject);
    let otherwise = |overrides: &[RuleOverride]| {
        let severity = scene.judge_again(judged, overrides).severity_of(subject);
        (severity != now).then_some(severity)
    };
    let changed = settings.iter().filter(|setting| setting.value != setting.default);
    let changed: Vec<String> = changed.map(|setting| format!("{}: {}", setting.name, setting.default)).collect();
    if !changed.is_empty()
        && let Some(severity) = otherwise(&with_own_settings)
    {
        return Some(AsShipped { settings: changed, severity, is_own });
    }
    let severity = if overrides.is_empty() { None } else { otherwise(&[]) }?;
    Some(AsShipped { settings: Vec::new(), severity, is_own })
}
