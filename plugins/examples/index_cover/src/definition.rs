//! Reads what pgsteward says of an index: `CREATE [UNIQUE] INDEX i ON s.t USING btree (a, b DESC) INCLUDE (c) ...`.
//!
//! The text comes from a server, so names in it may hold anything, quoted. What is not understood is no definition: better
//! no advice than one about an index that was read wrongly.

/// An index by what it can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    /// Its keys in order.
    pub(crate) keys: Vec<Key>,
    /// Columns that it carries beside the keys.
    pub(crate) included: Vec<String>,
    /// Whether NULLs are equal to it; only of weight when it is unique.
    pub(crate) nulls_equal: bool,
}

/// A key of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// The column as it is written, quotes and all.
    pub(crate) column: String,
    /// Collation and operator class where they are not the column's own.
    pub(crate) ways: String,
    /// Largest first.
    pub(crate) descending: bool,
    /// NULLs before all else.
    pub(crate) nulls_first: bool,
}

impl Definition {
    /// Reads the definition of a b-tree index; `None` for another method and for what it does not understand.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (_, rest) = split_outside(text, " USING btree (")?;
        let (keys, rest) = split_outside(rest, ")")?;
        let keys = commas(keys).into_iter().map(Key::parse).collect::<Option<Vec<Key>>>()?;
        let (included, rest) = match rest.strip_prefix(" INCLUDE (") {
            Some(list) => split_outside(list, ")")?,
            None => ("", rest),
        };
        let included = commas(included).into_iter().map(String::from).collect();
        let nulls_equal = rest.starts_with(" NULLS NOT DISTINCT");
        (!keys.is_empty()).then_some(Self { keys, included, nulls_equal })
    }

    /// Whether it holds a column, as a key or beside the keys.
    pub(crate) fn holds(&self, column: &str) -> bool {
        self.keys.iter().any(|key| key.column == column) || self.included.iter().any(|c| c == column)
    }
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let orders = [(" DESC NULLS LAST", true, false), (" NULLS FIRST", false, true), (" DESC", true, true)];
        let found = orders.iter().find_map(|(end, down, first)| Some((text.strip_suffix(end)?, *down, *first)));
        let (rest, descending, nulls_first) = found.unwrap_or((text, false, false));
        let (column, ways) = split_outside(rest, " ").unwrap_or((rest, ""));
        let plain = !column.is_empty() && !column.contains('(');
        (plain || column.starts_with('"')).then(|| Self { column: column.into(), ways: ways.into(), descending, nulls_first })
    }
}

/// Cuts at the first `mark` that stands outside of quotes.
fn split_outside<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        // A doubled quote leaves and enters again, which comes to the same.
        quoted ^= c == '"';
        if !quoted && text[at..].starts_with(mark) {
            return Some((&text[..at], &text[at + mark.len()..]));
        }
    }
    None
}

/// The parts between commas outside of quotes.
fn commas(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while let Some((part, rest)) = split_outside(text, ", ") {
        parts.push(part);
        text = rest;
    }
    if !text.is_empty() {
        parts.push(text);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str) -> Option<Vec<String>> {
        Definition::parse(text).map(|d| d.keys.into_iter().map(|key| key.column).collect())
    }

    #[test]
    fn keys_with_all_they_can_have() {
        let text = r#"CREATE INDEX i ON public.t USING btree (a, b COLLATE pg_catalog."C" pg_catalog.text_pattern_ops DESC NULLS LAST, c NULLS FIRST) INCLUDE (d, "e, f") WITH (fillfactor='90')"#;
        let read = Definition::parse(text).expect("a definition");
        assert_eq!(read.keys[0], Key { column: "a".into(), ways: String::new(), descending: false, nulls_first: false });
        assert_eq!(read.keys[1].ways, r#"COLLATE pg_catalog."C" pg_catalog.text_pattern_ops"#);
        assert!(read.keys[1].descending && !read.keys[1].nulls_first && read.keys[2].nulls_first);
        assert_eq!(read.included, ["d", "\"e, f\""]);
        assert!(!read.nulls_equal);
    }

    #[test]
    fn hostile_names_are_read_as_names() {
        let text = r#"CREATE UNIQUE INDEX " USING btree (x" ON public."t"" (" USING btree ("a, ""b)", c) NULLS NOT DISTINCT"#;
        assert_eq!(columns(text), Some(vec![r#""a, ""b)""#.into(), "c".into()]));
        assert!(Definition::parse(text).is_some_and(|d| d.nulls_equal));
    }

    #[test]
    fn what_is_not_understood_is_no_definition() {
        for text in [
            "",
            "x",
            "CREATE INDEX i ON t USING gin (a)",
            "CREATE INDEX i ON t USING btree (",
            "CREATE INDEX i ON t USING btree ()",
            "CREATE INDEX i ON t USING btree (lower(a))",
        ] {
            assert_eq!(Definition::parse(text), None, "{text}");
        }
    }
}
