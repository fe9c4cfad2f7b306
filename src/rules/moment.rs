//! The written form of a moment: `dead`, `rate(calls)`, `prev(calls)`, `delta(bytes, 1d)`, `ago(bytes, 1d)`. One reader for
//! tests and plugins, so that both write what `explain` and errors show.

use crate::model::Moment;

/// Splits `rate(calls)` into the column and the moment.
///
/// # Errors
/// Says which forms there are.
pub(in crate::rules) fn read(text: &str) -> Result<(&str, Moment), String> {
    let Some((word, inner)) = text.split_once('(').and_then(|(w, rest)| Some((w.trim(), rest.strip_suffix(')')?))) else {
        return Ok((text, Moment::Now));
    };
    let window = |text: &str| {
        pgsteward_helpers::parse_quantity(text.trim().trim_matches(['"', '\'']))
            .ok()
            .filter(|q| q.dimension == pgsteward_helpers::Dimension::Seconds && q.value >= 1.0)
            .map(|q| q.value as u64)
    };
    let parts = inner.split_once(',').map(|(column, w)| (column.trim(), window(w)));
    match (word, parts) {
        ("rate", None) => Ok((inner.trim(), Moment::Rate)),
        ("prev", None) => Ok((inner.trim(), Moment::Previous)),
        ("ago", Some((column, Some(w)))) => Ok((column, Moment::Ago(w))),
        ("delta", Some((column, Some(w)))) => Ok((column, Moment::Delta(w))),
        _ => Err(format!("`{text}` is no column (forms: dead, rate(calls), prev(calls), ago(bytes, 1d), delta(bytes, 1d))")),
    }
}
