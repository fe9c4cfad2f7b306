//! Problems in what a person wrote: which file, which line and column, what is wrong and what would be right.
//!
//! Everything that reads a file written by a person (config, rules, tests) gathers `Problem`s instead of stopping at the
//! first, and `render` shows them all beside the lines they are about. Open to every room.

use std::fmt;

use annotate_snippets::{AnnotationKind, Level as Title, Renderer, Snippet};
use serde::Serialize;

/// Where something stands in a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mark {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The thing cannot be used.
    Error,
    /// It can, but probably not as meant.
    Warning,
    /// Good to know.
    Note,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as the person named it.
    pub file: String,
    /// Where in it; `None` for the whole file.
    pub at: Option<Mark>,
    /// How bad.
    pub level: Level,
    /// Short fact: a lower-case fragment without full stop, user input in backticks.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl Problem {
    /// An error at a place.
    #[must_use]
    pub fn error(file: impl Into<String>, at: impl Into<Option<Mark>>, message: impl Into<String>) -> Self {
        Self { file: file.into(), at: at.into(), level: Level::Error, message: message.into(), hint: None }
    }

    /// A warning at a place.
    #[must_use]
    pub fn warning(file: impl Into<String>, at: impl Into<Option<Mark>>, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(file, at, message) }
    }

    /// A note at a place.
    #[must_use]
    pub fn note(file: impl Into<String>, at: impl Into<Option<Mark>>, message: impl Into<String>) -> Self {
        Self { level: Level::Note, ..Self::error(file, at, message) }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether it makes the thing unusable.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }

    /// The problem beside the line it is about, for a terminal.
    #[must_use]
    pub fn render(&self, source: &str, colour: bool) -> String {
        let title = match self.level {
            Level::Error => Title::ERROR,
            Level::Warning => Title::WARNING,
            Level::Note => Title::NOTE,
        };
        let mut report = match self.at.and_then(|mark| span_of(source, mark)) {
            Some((line_start, line, span)) => title.primary_title(self.message.as_str()).element(
                Snippet::source(line).line_start(line_start).path(self.file.as_str()).annotation(AnnotationKind::Primary.span(span)),
            ),
            None => title
                .primary_title(format!("{}: {}", self.file, self.message))
                .elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new()),
        };
        if let Some(hint) = &self.hint {
            report = report.element(Title::HELP.message(hint.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[report])
    }
}

/// One line: `config.yaml:3:5: error: unknown key `chanel`; did you mean `channel`?`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(mark) = self.at {
            write!(f, ":{}:{}", mark.line, mark.column)?;
        }
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        };
        write!(f, ": {level}: {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// The line of a mark and the byte range of the word that stands there.
fn span_of(source: &str, mark: Mark) -> Option<(usize, &str, std::ops::Range<usize>)> {
    let line = source.lines().nth(mark.line.checked_sub(1)? as usize)?;
    let start = line.char_indices().nth(mark.column.saturating_sub(1) as usize).map_or(line.len(), |(at, _)| at);
    let word = line[start..].find([' ', ',', '}', ']', ')', '(', ';']).unwrap_or(line.len() - start);
    Some((mark.line as usize, line, start..start + word.max(1).min(line.len() - start)))
}
