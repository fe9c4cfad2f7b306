//! Hostile text on its way into a message for a person.

/// One line of at most 1,000 characters, without anything that moves a terminal's cursor.
pub(crate) fn one_line(text: &str) -> String {
    const MOST: usize = 1_000;
    let mut line = String::new();
    for (nth, c) in text.trim().chars().enumerate() {
        match c {
            _ if nth == MOST => {
                line.push('…');
                break;
            }
            '\n' => line.push(' '),
            c if is_invisible(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}

/// Control characters, and those that turn the direction of writing.
fn is_invisible(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_cut_and_shown() {
        assert_eq!(one_line("panicked\nat \u{1b}[2Jx \u{202e}y\n"), "panicked at \\u{1b}[2Jx \\u{202e}y");
        assert_eq!(one_line(&"é".repeat(5_000)).chars().count(), 1_001);
    }
}
