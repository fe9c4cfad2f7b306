//! Numbers as people read them. Unknown (NaN) reads `unknown`, or `never` where the number is an age.

/// `1234567` reads `1.2 M`; below 10,000 the number itself, without a trailing `.0`.
#[must_use]
pub fn human(value: f64) -> String {
    if value.is_nan() {
        return "unknown".into();
    }
    let size = value.abs();
    if size < 10_000.0 {
        return round(value, 1);
    }
    for (limit, factor, unit) in [(1e6, 1e3, "k"), (1e9, 1e6, "M"), (1e12, 1e9, "G"), (f64::INFINITY, 1e12, "T")] {
        if size < limit {
            return format!("{} {unit}", round(value / factor, 1));
        }
    }
    "infinite".into()
}

/// Bytes in powers of 1,024 as PostgreSQL prints them: `1.5 GB`.
#[must_use]
pub fn bytes(value: f64) -> String {
    if value.is_nan() {
        return "unknown".into();
    }
    let (mut rest, mut unit) = (value, "B");
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if rest.abs() < 1024.0 {
            break;
        }
        (rest, unit) = (rest / 1024.0, next);
    }
    format!("{} {unit}", round(rest, 1))
}

/// A duration given in seconds, in its two largest units: `1d 2h`, `3m 10s`, `250ms`.
#[must_use]
pub fn span(seconds: f64) -> String {
    if seconds.is_nan() {
        return "unknown".into();
    }
    if seconds < 0.0 {
        return format!("-{}", span(-seconds));
    }
    if seconds > 0.0 && seconds < 1.0 {
        return format!("{}ms", round(seconds * 1000.0, 0));
    }
    let whole = seconds.round() as u64;
    let parts = [(whole / 86_400, "d"), (whole / 3_600 % 24, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")];
    let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let shown: Vec<String> = parts[first..].iter().take(2).filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if shown.is_empty() { "0s".into() } else { shown.join(" ") }
}

/// An age given in seconds: `2h ago`, or `never` when there is none.
#[must_use]
pub fn ago(seconds: f64) -> String {
    if seconds.is_nan() { "never".into() } else { format!("{} ago", span(seconds)) }
}

/// `value` with at most `digits` decimals and no trailing zeros.
#[must_use]
pub fn round(value: f64, digits: i64) -> String {
    if value.is_nan() {
        return "unknown".into();
    }
    let text = format!("{value:.*}", digits.clamp(0, 12) as usize);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text };
    if text == "-0" { "0".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(human(1_200_000.0), "1.2 M");
        assert_eq!(human(9_999.0), "9999");
        assert_eq!(human(10_000.0), "10 k");
        assert_eq!(human(f64::NAN), "unknown");
        assert_eq!(bytes(536_870_912.0), "512 MB");
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(round(6.0, 1), "6");
        assert_eq!(round(-0.001, 1), "0");
    }

    #[test]
    fn durations_show_their_two_largest_units() {
        assert_eq!(span(93_600.0), "1d 2h");
        assert_eq!(span(7_200.0), "2h");
        assert_eq!(span(0.25), "250ms");
        assert_eq!(span(0.0), "0s");
        assert_eq!(span(59.6), "1m");
        assert_eq!(ago(f64::NAN), "never");
        assert_eq!(ago(60.0), "1m ago");
    }
}
