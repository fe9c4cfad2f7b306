//! Escapes: how a text is written so that a receiver shows it and does not obey it, and how much of it fits.
//!
//! A table may be called `<!channel>`, `@everyone` or `[click](https://evil)`. Each receiver has its own marks; control and
//! invisible characters are `text::safe`'s, which `card` has asked before. Lengths are counted in UTF-16 units, the largest
//! of the ways in which receivers count characters, so that what fits here fits everywhere. A cut never parts a letter
//! from its accents.
//!
//! Deliberately absent: JSON and mail headers. Their libraries escape for themselves.

use unicode_width::UnicodeWidthChar;

/// What a receiver would obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Tags and entities.
    Html,
    /// Slack's mrkdwn: mentions, channels and links all stand within `<` and `>`.
    Slack,
    /// Markdown as Discord and Teams have it, with mentions and bare links.
    Markdown,
    /// Nothing: the text is shown as it stands.
    Plain,
}

impl Escape {
    /// The text with what would be obeyed made visible.
    #[must_use]
    pub fn text(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + text.len() / 8);
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            self.one(c, rest.as_str(), &mut out);
        }
        out
    }

    fn one(self, c: char, rest: &str, out: &mut String) {
        match (self, c) {
            (Self::Html | Self::Slack, '&') => out.push_str("&amp;"),
            (Self::Html | Self::Slack, '<') => out.push_str("&lt;"),
            (Self::Html | Self::Slack, '>') => out.push_str("&gt;"),
            (Self::Html, '"') => out.push_str("&quot;"),
            (Self::Html, '\'') => out.push_str("&#39;"),
            (Self::Markdown, _) if is_mark(c) || c == ':' && rest.starts_with("//") => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }

    /// The text escaped and at most `most` long; what is cut off is counted where there is room to say so.
    #[must_use]
    pub fn fit(self, text: &str, most: usize) -> String {
        let whole = self.text(text);
        if units(&whole) <= most {
            return whole;
        }
        let tail = |left: usize| format!(" .. ({left} characters more)");
        let all = text.chars().count();
        let Some(room) = most.checked_sub(units(&tail(all))) else { return self.start(text, most).0 };
        let (out, kept) = self.start(text, room);
        format!("{out}{}", tail(all - kept))
    }

    /// As much of the beginning as fits, and how many characters of the text that is.
    fn start(self, text: &str, room: usize) -> (String, usize) {
        let (mut out, mut used, mut kept, mut at) = (String::new(), 0, 0, 0);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let letter = &rest[..letter_len(rest)];
            let mut shown = String::new();
            let mut chars = letter.chars();
            while let Some(c) = chars.next() {
                self.one(c, &rest[letter.len() - chars.as_str().len()..], &mut shown);
            }
            used += units(&shown);
            if used > room {
                break;
            }
            out.push_str(&shown);
            kept += letter.chars().count();
            at += letter.len();
        }
        (out, kept)
    }
}

/// Characters that begin something in Markdown.
fn is_mark(c: char) -> bool {
    matches!(c, '\\' | '`' | '*' | '_' | '~' | '|' | '<' | '>' | '[' | ']' | '#' | '@')
}

/// The length of a text as receivers may count it.
#[must_use]
pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Bytes of the first letter: a character and all that is put onto it.
fn letter_len(text: &str) -> usize {
    let put_on = |c: char| c.width() == Some(0) || matches!(c, '\u{1f3fb}'..='\u{1f3ff}');
    text.char_indices().skip(1).find(|(_, c)| !put_on(*c)).map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Escape; 4] = [Escape::Html, Escape::Slack, Escape::Markdown, Escape::Plain];

    #[test]
    fn no_name_calls_people_or_leads_away() {
        let evil = "<!channel> @here <https://evil|click> [x](https://evil) **b** `c` & 'q'";
        assert_eq!(Escape::Slack.text(evil), "&lt;!channel&gt; @here &lt;https://evil|click&gt; [x](https://evil) **b** `c` &amp; 'q'");
        assert_eq!(Escape::Markdown.text(evil), r"\<!channel\> \@here \<https\://evil\|click\> \[x\](https\://evil) \*\*b\*\* \`c\` & 'q'");
        assert_eq!(Escape::Html.text("<b onclick='x'>\"&\"</b>"), "&lt;b onclick=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/b&gt;");
        assert_eq!(Escape::Plain.text(evil), evil);
    }

    #[test]
    fn a_cut_says_how_much_is_gone_and_counts_what_the_receiver_counts() {
        assert_eq!(Escape::Plain.fit("0123456789", 10), "0123456789");
        assert_eq!(Escape::Plain.fit(&"x".repeat(60), 40), format!("{} .. (44 characters more)", "x".repeat(16)));
        assert_eq!(Escape::Slack.fit(&"&".repeat(20), 60), format!("{} .. (13 characters more)", "&amp;".repeat(7)));
        assert_eq!(Escape::Plain.fit("abcdef", 3), "abc", "there is no room to say so");
    }

    #[test]
    fn letters_keep_their_accents_and_emoji_their_halves() {
        let accents = "e\u{301}".repeat(30);
        assert_eq!(Escape::Plain.fit(&accents, 30), format!("{} .. (54 characters more)", "e\u{301}".repeat(3)));
        assert_eq!(Escape::Plain.fit("👍🏽👍🏽", 7), "👍🏽");
        assert_eq!(Escape::Plain.fit("ab👍", 3), "ab");
        assert_eq!(Escape::Plain.fit(&format!("a{}", "\u{301}".repeat(500)), 60), " .. (501 characters more)");
    }

    proptest! {
        #[test]
        fn whatever_comes_fits_and_is_a_beginning(text in any::<String>(), most in 0usize..80) {
            for escape in ALL {
                let shown = escape.fit(&text, most);
                prop_assert!(units(&shown) <= most);
                let whole = escape.text(&text);
                let start = shown.rfind(" .. (").filter(|_| shown != whole).map_or(shown.as_str(), |at| &shown[..at]);
                prop_assert!(whole.starts_with(start), "{shown:?} of {whole:?}");
            }
        }

        #[test]
        fn nothing_escaped_can_be_obeyed(text in "[<>@a:/&`*#|\\\\\\[\\]()_~-]{0,40}") {
            let slack = Escape::Slack.text(&text);
            prop_assert!(!slack.contains(['<', '>']));
            let html = Escape::Html.text(&text);
            prop_assert!(!html.contains(['<', '>', '"', '\'']));
            let markdown = Escape::Markdown.text(&text);
            let mut rest = markdown.chars();
            while let Some(c) = rest.next() {
                prop_assert!(c == '\\' || !is_mark(c));
                prop_assert!(c != ':' || !rest.as_str().starts_with("//"));
                if c == '\\' {
                    prop_assert!(rest.next().is_some(), "a mark stands behind it");
                }
            }
        }
    }
}
