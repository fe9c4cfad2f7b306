//! What a sweep costs the server, and when it has cost enough.
//!
//! Two brakes: a budget of server time, and a breaker that opens when statements run into their timeout one after another,
//! because a server in that state needs no more questions. What is then not asked is Missing with the reason `budget`.

use std::time::Duration;

use crate::model::{Cost, Missing, MissingReason};

/// Statements that may run into `statement_timeout` one after another before the sweep stops asking.
const TIMEOUTS_IN_A_ROW: u32 = 3;

/// Bytes of values that one sweep may read.
pub(super) const MAX_SWEEP_BYTES: u64 = 64 << 20;

/// Counts, and says stop.
#[derive(Debug)]
pub(super) struct Meter {
    pub cost: Cost,
    budget_ms: f64,
    timeouts: u32,
}

impl Meter {
    /// A meter for one sweep; a budget of zero is none.
    pub fn new(budget_ms: f64) -> Self {
        Self { cost: Cost::default(), budget_ms, timeouts: 0 }
    }

    /// Statements were sent and this long was spent waiting for them.
    pub fn charge(&mut self, statements: u32, waited: Duration) {
        self.cost.queries += statements;
        self.cost.server_ms += waited.as_secs_f64() * 1000.0;
    }

    /// A row came. `false` when the sweep has read all it may.
    pub fn row(&mut self, bytes: usize) -> bool {
        self.cost.rows += 1;
        self.cost.bytes += bytes as u64;
        self.cost.bytes <= MAX_SWEEP_BYTES
    }

    /// How a statement ended.
    pub fn ended(&mut self, in_timeout: bool) {
        self.timeouts = if in_timeout { self.timeouts + 1 } else { 0 };
    }

    /// Why the next metric must not run; `None` when it may.
    pub fn refusal(&self) -> Option<Missing> {
        let missing = |detail: String, remedy: &str| Some(Missing::new(MissingReason::Budget, detail).with_remedy(remedy));
        if self.timeouts >= TIMEOUTS_IN_A_ROW {
            return missing(
                format!(
                    "{} statements in a row ran into statement_timeout, so the server is left alone until the next sweep",
                    self.timeouts
                ),
                "look at the server's load; raise budget.statement_timeout if it is always that slow",
            );
        }
        if self.cost.bytes > MAX_SWEEP_BYTES {
            return missing(format!("the sweep has read more than {} MB", MAX_SWEEP_BYTES >> 20), "leave out databases or metrics");
        }
        if self.budget_ms > 0.0 && self.cost.server_ms > self.budget_ms {
            return missing(
                format!("the sweep has used {:.0} ms of the server's time, {:.0} ms are allowed", self.cost.server_ms, self.budget_ms),
                "raise the budget, or leave out databases or heavy metrics",
            );
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(meter: &Meter) -> Option<String> {
        meter.refusal().map(|missing| missing.detail)
    }

    #[test]
    fn the_budget_stops_the_sweep_once_it_is_used_up() {
        let mut meter = Meter::new(100.0);
        meter.charge(1, Duration::from_millis(100));
        assert_eq!(reason(&meter), None);
        meter.charge(1, Duration::from_millis(1));
        assert_eq!(reason(&meter).unwrap(), "the sweep has used 101 ms of the server's time, 100 ms are allowed");
        assert_eq!(meter.cost.queries, 2);
    }

    #[test]
    fn three_timeouts_in_a_row_open_the_breaker_and_an_answer_closes_it() {
        let mut meter = Meter::new(0.0);
        meter.charge(1, Duration::from_secs(60));
        for in_timeout in [true, true, false, true, true] {
            meter.ended(in_timeout);
            assert_eq!(reason(&meter), None);
        }
        meter.ended(true);
        assert!(reason(&meter).unwrap().starts_with("3 statements in a row"));
    }

    #[test]
    fn more_bytes_than_a_sweep_may_read_stop_it() {
        let mut meter = Meter::new(0.0);
        assert!(meter.row(1000));
        assert!(!meter.row(MAX_SWEEP_BYTES as usize));
        assert!(reason(&meter).unwrap().contains("64 MB"));
    }
}
