//! What a column of a frame means: kind, unit, sensitivity and one line of documentation.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How the values of a column may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// Part of who the row is, or an identifier; text.
    Label,
    /// A number that goes up and down; `f64`.
    Gauge,
    /// A number that only grows until it is reset; 64-bit integer until `changes` has subtracted it.
    Counter,
    /// Free text that is not identity.
    Text,
    /// A point in time, in seconds since the Unix epoch by the server's clock; `f64`.
    Time,
    /// True, false or unknown.
    Flag,
}

impl ColumnKind {
    /// The word used in files and lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Text => "text",
            Self::Time => "time",
            Self::Flag => "flag",
        }
    }
}

/// The unit of a column, a setting or a piece of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Unit {
    /// No unit: a plain count of things named by the column.
    #[default]
    #[serde(rename = "")]
    None,
    /// Rows of a table.
    #[serde(rename = "rows")]
    Rows,
    /// Bytes.
    #[serde(rename = "bytes")]
    Bytes,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds; only where PostgreSQL or the classic rule form counts in them.
    #[serde(rename = "ms")]
    Millis,
    /// Per cent, 0..100.
    #[serde(rename = "%")]
    Percent,
    /// A share, 0..1.
    #[serde(rename = "ratio")]
    Ratio,
    /// A multiple of something.
    #[serde(rename = "x")]
    Times,
    /// Pages of the server's block size (8 kB unless built otherwise).
    #[serde(rename = "blocks")]
    Blocks,
    /// Transaction ids.
    #[serde(rename = "xids")]
    Xids,
    /// Days; only in the classic rule form.
    #[serde(rename = "days")]
    Days,
    /// Events a second.
    #[serde(rename = "/s")]
    PerSecond,
}

impl Unit {
    /// All units with the word used in files and JSON.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::None, ""),
        (Self::Rows, "rows"),
        (Self::Bytes, "bytes"),
        (Self::Seconds, "s"),
        (Self::Millis, "ms"),
        (Self::Percent, "%"),
        (Self::Ratio, "ratio"),
        (Self::Times, "x"),
        (Self::Blocks, "blocks"),
        (Self::Xids, "xids"),
        (Self::Days, "days"),
        (Self::PerSecond, "/s"),
    ];

    /// The word used in files and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(unit, _)| *unit == self).map_or("", |(_, word)| word)
    }

    /// The unit that a word stands for.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(unit, _)| *unit)
    }

    /// A value in this unit as people read it: `512 MB`, `2h`, `80 %`, `6 x`, `1.2 M rows`.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        use pgsteward_helpers::{bytes, human, round, span};
        match self {
            Self::None => human(value),
            Self::Bytes => bytes(value),
            Self::Seconds => span(value),
            Self::Millis => span(value / 1000.0),
            Self::Days => span(value * 86_400.0),
            Self::Percent => format!("{} %", round(value, 1)),
            Self::Ratio => round(value, 3),
            Self::Times => format!("{} x", round(value, 1)),
            Self::PerSecond => format!("{}/s", human(value)),
            Self::Rows | Self::Blocks | Self::Xids => format!("{} {}", human(value), self.as_str()),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who may see the values of a column; the privacy setting decides what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// Anyone who sees alerts.
    #[default]
    Public,
    /// Statement text, possibly with literals.
    Statement,
    /// Network address of a client.
    ClientAddress,
}

/// One described column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDef {
    /// Name as rules write it: lower case, digits and `_`.
    pub name: String,
    /// How its values may be used.
    pub kind: ColumnKind,
    /// Unit of its numbers.
    #[serde(default)]
    pub unit: Unit,
    /// Who may see it.
    #[serde(default)]
    pub sensitivity: Sensitivity,
    /// One line: what it is, and from when (for example `16+`) where it is not always there.
    pub doc: String,
}
