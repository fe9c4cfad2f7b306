//! Arithmetic that is easy to get wrong by hand: shares and percentiles, with unknown (NaN) kept apart from zero.

/// `part / whole`; 0 when both are 0 (nothing of nothing is no pressure), unknown (NaN) when only `whole` is 0
/// or when either side is unknown.
#[must_use]
pub fn ratio(part: f64, whole: f64) -> f64 {
    if part == 0.0 && whole == 0.0 {
        return 0.0;
    }
    if whole == 0.0 { f64::NAN } else { part / whole }
}

/// The `p`-th percentile (0..=100) by linear interpolation between closest ranks; unknown values are left out.
/// NaN when nothing is known or `p` is out of range.
#[must_use]
pub fn percentile(values: &[f64], p: f64) -> f64 {
    let mut known: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    if known.is_empty() || !(0.0..=100.0).contains(&p) {
        return f64::NAN;
    }
    known.sort_by(f64::total_cmp);
    let rank = p / 100.0 * (known.len() - 1) as f64;
    let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
    known[low] + (known[high] - known[low]) * (rank - low as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_nothing_is_zero_and_something_of_nothing_is_unknown() {
        assert_eq!(ratio(0.0, 0.0), 0.0);
        assert!(ratio(3.0, 0.0).is_nan());
        assert_eq!(ratio(1.0, 4.0), 0.25);
        assert!(ratio(f64::NAN, 4.0).is_nan());
    }

    #[test]
    fn percentile_interpolates_and_skips_unknown() {
        assert_eq!(percentile(&[4.0, f64::NAN, 1.0, 3.0, 2.0], 50.0), 2.5);
        assert_eq!(percentile(&[7.0], 99.0), 7.0);
        assert!(percentile(&[], 50.0).is_nan());
        assert!(percentile(&[1.0], 101.0).is_nan());
    }
}
