//! How many messages a channel may be sent now, pure: a bucket that fills evenly. A third of it is kept for what is
//! critical, so that a flood of lesser things never keeps a page waiting.

use chrono::{DateTime, TimeDelta, Utc};

use super::channels::Rate;

/// Messages that may go out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Of any severity.
    pub ordinary: usize,
    /// When they begin with a critical notice; not in addition.
    pub critical: usize,
}

/// What is in the bucket now; one that nobody has used is full.
#[must_use]
pub fn tokens(bucket: Option<(f64, DateTime<Utc>)>, rate: Rate, now: DateTime<Utc>) -> f64 {
    let full = f64::from(rate.count.max(1));
    let Some((left, at)) = bucket else { return full };
    // A clock that was set back fills nothing, and takes nothing.
    let passed_s = (now - at).num_milliseconds().max(0) as f64 / 1000.0;
    (left.max(0.0) + passed_s * full / f64::from(rate.per_s.max(1))).min(full)
}

/// What they allow.
#[must_use]
pub fn allowance(tokens: f64, rate: Rate) -> Allowance {
    let kept = f64::from(rate.count / 3);
    // What is a hair below a whole message is one: sums of fractions are never exact.
    let whole = |tokens: f64| (tokens + 1e-6).max(0.0) as usize;
    Allowance { ordinary: whole(tokens - kept), critical: whole(tokens) }
}

/// When the next message may go out; `None` when one may now.
#[must_use]
pub fn free_at(bucket: Option<(f64, DateTime<Utc>)>, rate: Rate, critical: bool, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let there = tokens(bucket, rate, now);
    let allowed = allowance(there, rate);
    let (may_go, kept) = if critical { (allowed.critical, 0) } else { (allowed.ordinary, rate.count / 3) };
    let missing = f64::from(kept) + 1.0 - there;
    let wait_ms = missing * f64::from(rate.per_s.max(1)) / f64::from(rate.count.max(1)) * 1000.0;
    (may_go == 0).then(|| now + TimeDelta::milliseconds(wait_ms.ceil() as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::at;
    use super::*;

    const RATE: Rate = Rate { count: 6, per_s: 60 };

    #[test]
    fn a_full_bucket_keeps_a_third_for_what_is_critical() {
        assert_eq!(allowance(tokens(None, RATE, at(0)), RATE), Allowance { ordinary: 4, critical: 6 });
        assert_eq!(allowance(2.0, RATE), Allowance { ordinary: 0, critical: 2 });
        assert_eq!(allowance(0.9, RATE), Allowance { ordinary: 0, critical: 0 });
    }

    #[test]
    fn a_rate_of_one_or_two_keeps_nothing_back() {
        let one = Rate { count: 1, per_s: 1 };
        assert_eq!(allowance(tokens(None, one, at(0)), one), Allowance { ordinary: 1, critical: 1 });
    }

    #[test]
    fn it_is_known_when_the_next_may_go() {
        let free = |left, critical| free_at(Some((left, at(0))), RATE, critical, at(0)).map(|at| at.timestamp());
        assert_eq!((free(0.0, true), free(0.5, true), free(1.0, true)), (Some(10), Some(5), None));
        assert_eq!((free(0.0, false), free(2.5, false), free(3.0, false)), (Some(30), Some(5), None), "two are kept");
    }

    #[test]
    fn it_fills_evenly_up_to_its_size() {
        assert_eq!(tokens(Some((0.0, at(0))), RATE, at(30)), 3.0);
        assert_eq!(tokens(Some((5.0, at(0))), RATE, at(3_000)), 6.0);
    }

    #[test]
    fn a_clock_set_back_neither_fills_nor_empties_it() {
        assert_eq!(tokens(Some((2.0, at(9_000))), RATE, at(0)), 2.0);
    }

    proptest! {
        #[test]
        fn over_any_span_no_more_goes_out_than_the_bucket_and_what_flowed_in(waits in proptest::collection::vec(0i64..40, 1..60), count in 1u32..20, per_s in 1u32..120) {
            let rate = Rate { count, per_s };
            let (mut bucket, mut now, mut sent) = (None, 0i64, 0usize);
            for wait in waits {
                now += wait;
                let there = tokens(bucket, rate, at(now));
                let go = allowance(there, rate).critical;
                sent += go;
                bucket = Some((there - go as f64, at(now)));
            }
            prop_assert!(sent as f64 <= f64::from(count) + now as f64 * f64::from(count) / f64::from(per_s) + 0.01);
        }
    }
}
