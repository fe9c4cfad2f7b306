//! Splits a script into its header (YAML in `//!` lines at the top) and its body, keeping every line and column number.

/// A script in its two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<'a> {
    /// The header as YAML: the `//!` are blanks, so that line and column are those of the file.
    pub yaml: String,
    /// The rest.
    pub body: &'a str,
    /// The line of the file at which the rest begins, from 1.
    pub first_line: u32,
}

/// Takes the leading `//!` lines (blank lines may stand before and between them) off a script.
#[must_use]
pub fn split(text: &str) -> Split<'_> {
    let mut yaml = String::new();
    let mut pending = 0;
    let (mut end, mut lines, mut offset) = (0, 0, 0);
    for (at, line) in text.split_inclusive('\n').enumerate() {
        offset += line.len();
        let trimmed = line.trim_end();
        if trimmed.is_empty() {
            pending += 1;
            continue;
        }
        let Some(rest) = trimmed.strip_prefix("//!") else { break };
        yaml.push_str(&"\n".repeat(pending));
        pending = 0;
        if !rest.is_empty() {
            yaml.push_str("   ");
            yaml.push_str(rest);
        }
        yaml.push('\n');
        (end, lines) = (offset, at + 1);
    }
    Split { yaml, body: text.get(end..).unwrap_or_default(), first_line: lines as u32 + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Mark;
    use crate::yaml::{Value, parse};

    #[test]
    fn line_and_column_stay_those_of_the_file() {
        let text = "\n//! id: x\n//!\n//! settings:\n//!   a: 1\n\nlet y = 1;\n//! not a header\n";
        let split = split(text);
        assert_eq!((split.body, split.first_line), ("\nlet y = 1;\n//! not a header\n", 6));
        let root = parse("f", &split.yaml).unwrap();
        let Value::Map(entries) = &root.value else { panic!("a map") };
        assert_eq!(entries[1].0.at, Mark { line: 4, column: 5 });
        let Value::Map(inner) = &entries[1].1.value else { panic!("a map") };
        assert_eq!(inner[0].0.at, Mark { line: 5, column: 7 });
    }

    #[test]
    fn a_script_without_header_is_all_body() {
        assert_eq!(split("let x = 1;"), Split { yaml: String::new(), body: "let x = 1;", first_line: 1 });
        assert_eq!(split(""), Split { yaml: String::new(), body: "", first_line: 1 });
    }
}
