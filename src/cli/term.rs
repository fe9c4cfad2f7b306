//! What the terminal can show: width, colours, sparklines. Everything printed goes through `out`, which drops colours
//! where they would not be understood (no terminal, `NO_COLOR`), survives a closed pipe, and keeps in mind what else went
//! wrong, so that no command ends well whose answer nobody got.

use std::io::{self, Write};
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};

use crate::model::Severity;

/// What kept text from standard output first: a full disk, a failed device.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Prints to standard output. What cannot be written ends the output, not the program: it may be in the middle of more
/// than its output.
pub fn out(text: &str) {
    let mut stdout = anstream::stdout();
    note(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
}

/// Keeps in mind that standard output could not be written. A reader who has gone has had enough.
pub fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        UNWRITTEN.get_or_init(|| error);
    }
}

/// Why something that was printed did not come out.
#[must_use]
pub fn unwritten() -> Option<&'static io::Error> {
    UNWRITTEN.get()
}

/// Prints to standard error: progress and problems, so that standard output stays clean for scripts.
pub fn err(text: &str) {
    let mut stderr = anstream::stderr();
    drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()));
}

/// Whether standard output understands colours.
#[must_use]
pub fn colours() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// Columns to fill: the terminal's, or 110 where there is none; never under 60 nor over 160.
#[must_use]
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(110, |(width, _)| usize::from(width.0)).clamp(60, 160)
}

/// The style of a severity.
#[must_use]
pub fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Critical => Style::new().bold().fg_color(Some(AnsiColor::Red.into())),
        Severity::Warning => Style::new().bold().fg_color(Some(AnsiColor::Yellow.into())),
        Severity::Info => Style::new().bold().fg_color(Some(AnsiColor::Cyan.into())),
    }
}

/// Bold.
pub const BOLD: Style = Style::new().bold();
/// Less important.
pub const DIM: Style = Style::new().dimmed();
/// Good.
pub const GOOD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));

/// Text in a style. The codes are dropped by `out` where they would not be understood.
#[must_use]
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Columns that a text takes, colour codes not counted.
#[must_use]
pub fn shown_width(text: &str) -> usize {
    textwrap::core::display_width(text)
}

/// `left` and `right` at the two ends of a line; on a line of its own where both do not fit.
#[must_use]
pub fn ends(left: &str, right: &str, width: usize) -> String {
    let lines = |text: &str, first: &str| filled(text, first, "          ", width, true);
    if right.is_empty() {
        return lines(left, "");
    }
    let room = width.saturating_sub(shown_width(left) + shown_width(right));
    if room < 2 { format!("{}\n{}", lines(left, ""), lines(right, "   ")) } else { format!("{left}{}{right}", " ".repeat(room)) }
}

/// Items beside each other, a line at a time; an item is only broken when it is longer than a line.
#[must_use]
pub fn flow(items: &[String], between: &str, rest: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        match lines.last_mut() {
            Some(line) if shown_width(line) + between.len() + shown_width(item) <= width => line.extend([between, item]),
            Some(_) => lines.push(format!("{rest}{item}")),
            None => lines.push(item.clone()),
        }
    }
    lines.join("\n")
}

/// Text wrapped to the width, each line behind `first` or `rest`. A word that is longer than a line is broken.
#[must_use]
pub fn wrapped(text: &str, first: &str, rest: &str, width: usize) -> String {
    filled(text, first, rest, width, true)
}

/// The same for what may be pasted into a shell or a session: a long word stays whole and passes the width.
#[must_use]
pub fn wrapped_whole(text: &str, first: &str, rest: &str, width: usize) -> String {
    filled(text, first, rest, width, false)
}

/// Names are full of hyphens, so lines break at spaces only.
fn filled(text: &str, first: &str, rest: &str, width: usize, break_words: bool) -> String {
    let options = textwrap::Options::new(width).word_splitter(textwrap::WordSplitter::NoHyphenation).break_words(break_words);
    textwrap::fill(text, options.initial_indent(first).subsequent_indent(rest))
}

/// A bar of `share` (0..1) in `cells` columns, to the eighth of a column.
#[must_use]
pub fn bar(share: f64, cells: usize) -> String {
    let eighths = (share.clamp(0.0, 1.0) * cells as f64 * 8.0).round() as usize;
    let (full, rest) = (eighths / 8, eighths % 8);
    let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][rest];
    let used = full + usize::from(rest > 0);
    format!("{}{part}{}", "█".repeat(full), "░".repeat(cells.saturating_sub(used)))
}

/// Values as a line of small bars, lowest to highest.
#[must_use]
pub fn spark(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    let height = |value: &f64| if high > low { ((value - low) / (high - low) * 7.0).round() as usize } else { 0 };
    values.iter().filter_map(|value| BARS.get(height(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_asked() {
        assert_eq!(bar(0.0, 4), "░░░░");
        assert_eq!(bar(0.5, 4), "██░░");
        assert_eq!(bar(0.53, 4), "██▏░");
        assert_eq!(bar(7.0, 4), "████");
    }

    #[test]
    fn a_line_of_small_bars_spans_from_the_lowest_to_the_highest() {
        assert_eq!(spark(&[1.0, 2.0, 4.0, 8.0]), "▁▂▄█");
        assert_eq!(spark(&[3.0, 3.0]), "▁▁", "it stands still");
        assert_eq!(spark(&[]), "");
    }

    #[test]
    fn both_ends_share_a_line_while_they_fit() {
        assert_eq!(ends("ab", "cd", 8), "ab    cd");
        assert_eq!(ends("abcdef", "cd", 8), "abcdef\n   cd");
        assert_eq!(ends("abc def ghijkl", "cd", 14), "abc def ghijkl\n   cd");
        assert_eq!(ends("abc def ghijklm", "cd", 14), "abc def ghij\n          klm\n   cd");
    }

    #[test]
    fn items_flow_into_lines_whole() {
        let items = ["a b", "c d", "e f"].map(String::from);
        assert_eq!(flow(&items, "  ", "   ", 8), "a b  c d\n   e f");
        assert_eq!(flow(&items, "  ", "   ", 80), "a b  c d  e f");
        assert_eq!(flow(&[], "  ", "", 80), "");
    }

    #[test]
    fn only_what_is_pasted_may_pass_the_width() {
        assert_eq!(wrapped("ab-cd efghijklm", "", " ", 8), "ab-cd\n efghijk\n lm");
        assert_eq!(wrapped_whole("ab-cd efghijklm", "", " ", 8), "ab-cd\n efghijklm");
    }
}
