//! Text from a server or a person, made safe to show: errors, names in messages, log lines.

/// Longest text that is passed on, in characters.
const MAX_CHARS: usize = 300;

/// One line without control characters, escape codes or marks that turn the writing direction, at most 300 characters.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() || turns_direction(c) { ' ' } else { c });
    let mut shown: String = chars.by_ref().take(MAX_CHARS).collect();
    if chars.next().is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// Marks that make text read in another order than it is stored, and the separators that some programs take for a new line.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_codes_newlines_and_direction_marks_become_blanks() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{202e}d\0"), "a [31mb c d ");
    }

    #[test]
    fn long_text_is_cut_by_characters() {
        let cut = clean(&"é".repeat(400));
        assert_eq!(cut.chars().count(), 300);
        assert!(cut.ends_with('…'));
        assert_eq!(clean(&"é".repeat(300)).chars().count(), 300);
    }
}
