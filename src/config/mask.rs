//! Blots secrets out of a file's text before anybody shows lines of it.
//!
//! Problems are shown beside the line they are about, and the line about a password is the one with the password in it.
//! Too much is blotted out rather than too little: from a secret to the end of its line and over the lines that continue
//! it. Lines keep their numbers and what stands before a secret keeps its column. A line too long to be shown is cut,
//! and characters that a terminal would obey are replaced.

use crate::problem::Mark;
use crate::text::safe;

/// Longest line in characters.
const LONGEST: usize = 1_000;
const STARS: &str = "***";
/// Words after which `:` or `=` begins a secret, also in a file that cannot be parsed.
const WORDS: [&str; 7] = ["password", "passwd", "secret", "token", "routing_key", "api_key", "apikey"];

/// The text with secrets blotted out; `known` are the places where some begin.
pub(super) fn mask(text: &str, known: &[Mark]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hidden_below: Option<usize> = None;
    for (at, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if hidden_below.is_some_and(|margin| indent > margin || line.trim().is_empty()) {
            out.push_str(STARS);
        } else {
            let here = known.iter().filter(|mark| mark.line as usize == at + 1).min().map(|mark| byte_of(line, *mark));
            hidden_below = here.map(|_| indent);
            match here.into_iter().chain(by_word(line)).chain(by_url(line)).min() {
                Some(start) => {
                    out.extend(line.get(..start).unwrap_or_default().chars().take(LONGEST).map(visible));
                    out.push_str(STARS);
                }
                None => out.extend(line.chars().take(LONGEST).map(visible)),
            }
        }
        out.push('\n');
    }
    out
}

/// What a terminal would obey is shown as a box, so that columns stay.
fn visible(c: char) -> char {
    let shown = c.encode_utf8(&mut [0; 4]).to_string();
    let plain = c == '\t' || safe(&shown) == shown;
    if plain { c } else { '\u{fffd}' }
}

fn byte_of(line: &str, mark: Mark) -> usize {
    line.char_indices().nth(mark.column.saturating_sub(1) as usize).map_or(line.len(), |(at, _)| at)
}

/// Where the value after a telling word begins, unless it is the way to a secret: `{file: ..}`.
fn by_word(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let starts = WORDS.iter().flat_map(|word| lower.match_indices(word).map(|(at, found)| at + found.len()));
    starts
        .filter_map(|end| {
            let rest = line.get(end..)?;
            let sign = rest.trim_start_matches(['"', '\'', ' ', '\t']);
            let value = sign.strip_prefix([':', '='])?.trim_start();
            (!value.is_empty() && !is_way(value)).then(|| line.len() - value.len())
        })
        .min()
}

fn is_way(value: &str) -> bool {
    let inner = value.strip_prefix('{').map(str::trim_start);
    inner.is_some_and(|inner| ["file:", "env:", "command:"].iter().any(|way| inner.starts_with(way)))
}

/// Where the password of a URL begins, or what a web address says behind its host: webhooks have theirs there.
fn by_url(line: &str) -> Option<usize> {
    let authority = line.find("://")? + 3;
    let login = line.rfind('@').filter(|at| *at > authority);
    let password = login.and_then(|at| line.get(authority..at)?.find(':').map(|colon| authority + colon + 1));
    let is_web = line.get(..authority).is_some_and(|before| before.ends_with("http://") || before.ends_with("https://"));
    let behind = line.get(authority..).filter(|_| is_web).and_then(|rest| rest.find(['/', '?']).map(|slash| authority + slash + 1));
    password.into_iter().chain(behind).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_itself_is_blotted_out_without_a_parser() {
        let text = "password: @hunter2\ndsn: host=a password='x y' b\ndsn: postgres://u:hunter2@h/db\npassword: {file: /f}\nurl: https://h/T0/hunter2\nname: é\n";
        assert_eq!(
            mask(text, &[]),
            "password: ***\ndsn: host=a password=***\ndsn: postgres://u:***\npassword: {file: /f}\nurl: https://h/***\nname: é\n"
        );
    }

    #[test]
    fn known_secrets_are_blotted_out_with_their_continuation() {
        let text = "a:\n  key: |\n    hunter\n\n    two\n  next: 1\n";
        assert_eq!(mask(text, &[Mark { line: 2, column: 8 }]), "a:\n  key: ***\n***\n***\n***\n  next: 1\n");
    }
}
