//! Statement texts as the privacy setting allows: applied to a snapshot before anything else sees it, so that neither a
//! rule, a store, a file nor a channel can show more.

use std::sync::Arc;

use crate::config::StatementText;
use crate::model::{ColumnData, Reading, Sensitivity, Snapshot};

/// Masks or removes sensitive texts in every frame.
pub fn apply(snapshot: &mut Snapshot, allowed: StatementText) {
    if allowed == StatementText::Full {
        return;
    }
    for reading in snapshot.frames.values_mut() {
        let Reading::Collected(frame) = reading else { continue };
        let sensitive: Vec<usize> =
            (0..frame.def.columns.len()).filter(|at| frame.def.columns[*at].sensitivity == Sensitivity::Statement).collect();
        if sensitive.is_empty() {
            continue;
        }
        let frame = Arc::make_mut(frame);
        for at in sensitive {
            if let Some(ColumnData::Text(texts)) = frame.columns.get(at) {
                let shown = |text: &str| match allowed {
                    StatementText::Normalized => Some(without_literals(text)),
                    StatementText::None | StatementText::Full => None,
                };
                let masked = (0..texts.len()).map(|row| texts.get(row).and_then(shown)).collect();
                frame.columns[at] = ColumnData::Text(Arc::new(masked));
            }
        }
    }
}

/// The statement with `?` for each string and number. A statement that was cut in the middle of a string loses the rest.
fn without_literals(statement: &str) -> String {
    let mut shown = String::with_capacity(statement.len());
    let mut rest = statement;
    while let Some(c) = rest.chars().next() {
        let in_word = shown.ends_with(|p: char| p.is_alphanumeric() || p == '_' || p == '$');
        let taken = match c {
            '\'' => quoted(rest),
            '$' if !in_word && dollar_tag(rest).is_some() => dollar_quoted(rest),
            '0'..='9' if !in_word => rest.find(|p: char| !(p.is_alphanumeric() || p == '.' || p == '_')).unwrap_or(rest.len()),
            _ => {
                shown.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        shown.push('?');
        rest = &rest[taken..];
    }
    shown
}

/// Bytes of the string that begins here; doubled quotes belong to it, and escaped ones are taken for the end, after
/// which the next quote opens another string: nothing of it shows either way.
fn quoted(text: &str) -> usize {
    let mut at = 1;
    loop {
        match text[at..].find('\'') {
            None => return text.len(),
            Some(end) if text[at + end + 1..].starts_with('\'') => at += end + 2,
            Some(end) => return at + end + 1,
        }
    }
}

/// `$tag$` at the beginning.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 1;
    text[1..end]
        .chars()
        .all(|c| c.is_alphanumeric() || c == '_')
        .then_some(&text[..=end])
        .filter(|tag| !tag[1..].starts_with(|c: char| c.is_ascii_digit()))
}

fn dollar_quoted(text: &str) -> usize {
    let tag = dollar_tag(text).unwrap_or("$$");
    text[tag.len()..].find(tag).map_or(text.len(), |end| end + 2 * tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_numbers_go_names_and_parameters_stay() {
        assert_eq!(without_literals("SELECT * FROM t1 WHERE name = 'O''Hara' AND n > 4.2"), "SELECT * FROM t1 WHERE name = ? AND n > ?");
        assert_eq!(without_literals("SELECT $1, $tag$secret$tag$, $$x$$"), "SELECT $1, ?, ?");
        assert_eq!(without_literals("UPDATE x SET card = '4111 1111"), "UPDATE x SET card = ?");
    }
}
