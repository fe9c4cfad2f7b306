//! What can be wrong in a declaration, found while it compiles. `plugin!` calls these in constants.

/// Whether a plugin or rule may be called so: lower-case letters, digits and `_`, a letter first, at most 63.
#[must_use]
pub const fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 63 || !bytes[0].is_ascii_lowercase() {
        return false;
    }
    let mut at = 1;
    while at < bytes.len() {
        if !(bytes[at].is_ascii_lowercase() || bytes[at].is_ascii_digit() || bytes[at] == b'_') {
            return false;
        }
        at += 1;
    }
    true
}

const UNITS: [&str; 12] = ["", "rows", "bytes", "s", "ms", "%", "ratio", "x", "blocks", "xids", "days", "/s"];

/// Whether that is a unit of the contract.
#[must_use]
pub const fn is_unit(text: &str) -> bool {
    one_of(text, &UNITS)
}

const PROPERTIES: [&str; 10] =
    ["category", "tier", "for", "keep_firing_for", "interval", "runbook", "channels", "enabled", "when_missing", "where"];

/// Whether a rule may say that of itself: a property of the contract, or `label.<name>`.
#[must_use]
pub const fn is_property(text: &str) -> bool {
    one_of(text, &PROPERTIES) || starts_with(text, "label.")
}

const fn one_of(text: &str, words: &[&str]) -> bool {
    let mut at = 0;
    while at < words.len() {
        if words[at].len() == text.len() && starts_with(text, words[at]) {
            return true;
        }
        at += 1;
    }
    false
}

const fn starts_with(text: &str, start: &str) -> bool {
    let (text, start) = (text.as_bytes(), start.as_bytes());
    let mut at = 0;
    while at < start.len() {
        if at >= text.len() || text[at] != start[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_units_and_properties_of_the_contract_pass_and_others_do_not() {
        assert!(is_id("hot_updates") && is_id("a1"));
        assert!(!is_id("") && !is_id("Hot") && !is_id("1a") && !is_id("a-b") && !is_id(&"a".repeat(64)));
        assert!(is_unit("") && is_unit("bytes") && !is_unit("byte") && !is_unit("bytess"));
        assert!(is_property("for") && is_property("label.team") && !is_property("forr") && !is_property("label"));
    }
}
