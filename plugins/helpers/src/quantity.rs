//! Quantities as people write them in settings and test tables: `512MB`, `10m`, `80%`, `1.2M`, `2h`.
//!
//! Sizes are powers of 1,024 as in PostgreSQL; `k M G T` alone are powers of 1,000; `m` is minutes.

/// What kind of number a written quantity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// A bare number, or one with `k M G T`.
    Number,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Per cent, kept as written (80 for `80%`).
    Percent,
}

/// A parsed quantity: the value in the base unit of its dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantity {
    /// In bytes, seconds, per cent or plain.
    pub value: f64,
    /// Which of these it is.
    pub dimension: Dimension,
}

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuantityError {
    /// There is no number at the start.
    NoNumber,
    /// The unit is not known; the text after the number.
    UnknownUnit(String),
}

impl std::fmt::Display for QuantityError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoNumber => write!(f, "not a number"),
            Self::UnknownUnit(unit) => write!(f, "unknown unit `{unit}` (known: B kB MB GB TB, ms s m h d w, %, k M G T)"),
        }
    }
}

impl std::error::Error for QuantityError {}

const UNITS: &[(&str, f64, Dimension)] = &[
    ("", 1.0, Dimension::Number),
    ("k", 1e3, Dimension::Number),
    ("M", 1e6, Dimension::Number),
    ("G", 1e9, Dimension::Number),
    ("T", 1e12, Dimension::Number),
    ("x", 1.0, Dimension::Number),
    ("%", 1.0, Dimension::Percent),
    ("B", 1.0, Dimension::Bytes),
    ("kB", 1024.0, Dimension::Bytes),
    ("KB", 1024.0, Dimension::Bytes),
    ("MB", 1_048_576.0, Dimension::Bytes),
    ("GB", 1_073_741_824.0, Dimension::Bytes),
    ("TB", 1_099_511_627_776.0, Dimension::Bytes),
    ("ms", 0.001, Dimension::Seconds),
    ("s", 1.0, Dimension::Seconds),
    ("m", 60.0, Dimension::Seconds),
    ("h", 3_600.0, Dimension::Seconds),
    ("d", 86_400.0, Dimension::Seconds),
    ("w", 604_800.0, Dimension::Seconds),
];

/// Reads one quantity; composite durations such as `1h30m` or `1d 2h` are summed.
///
/// # Errors
/// When the text does not start with a number or ends with an unknown unit.
pub fn parse_quantity(text: &str) -> Result<Quantity, QuantityError> {
    let mut rest = text.trim();
    let mut sum: Option<Quantity> = None;
    loop {
        let (value, after) = number(rest)?;
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let unit = after[..end].trim();
        let &(_, factor, dimension) =
            UNITS.iter().find(|(name, _, _)| *name == unit).ok_or_else(|| QuantityError::UnknownUnit(after.trim().into()))?;
        let part = Quantity { value: value * factor, dimension };
        sum = Some(match sum {
            None => part,
            Some(s) if s.dimension == Dimension::Seconds && dimension == Dimension::Seconds => {
                Quantity { value: s.value + part.value, dimension }
            }
            Some(_) => return Err(QuantityError::UnknownUnit(rest.into())),
        });
        rest = after[end..].trim_start();
        if rest.is_empty() {
            return sum.ok_or(QuantityError::NoNumber);
        }
    }
}

fn number(text: &str) -> Result<(f64, &str), QuantityError> {
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign..].find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).map_or(text.len(), |n| n + sign);
    let value = text[..digits].replace('_', "").parse().map_err(|_| QuantityError::NoNumber)?;
    Ok((value, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> f64 {
        parse_quantity(text).map_or(f64::NAN, |q| q.value)
    }

    #[test]
    fn units_have_one_meaning() {
        assert_eq!(value("512MB"), 536_870_912.0);
        assert_eq!(value("1.2M"), 1_200_000.0);
        assert_eq!(value("10m"), 600.0);
        assert_eq!(value("1d 2h"), 93_600.0);
        assert_eq!(value("1h30m"), 5_400.0);
        assert_eq!(value("80%"), 80.0);
        assert_eq!(value("-3"), -3.0);
        assert_eq!(value("2_000"), 2_000.0);
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        assert_eq!(parse_quantity("ten"), Err(QuantityError::NoNumber));
        assert_eq!(parse_quantity("10 apples"), Err(QuantityError::UnknownUnit("apples".into())));
        assert_eq!(parse_quantity("1MB 2h").map(|q| q.value), Err(QuantityError::UnknownUnit("2h".into())));
        assert_eq!(parse_quantity(""), Err(QuantityError::NoNumber));
    }
}
