//! Questions that people ask outside of a tick, answered by the code that decides in one.

use super::facts::Facts;
use crate::model::{Alert, Matchers, Target};

/// Whether matchers take an alert of a target, as they would in a tick: for previews and explanations.
#[must_use]
pub fn is_matched(alert: &Alert, target: &Target, matchers: &Matchers) -> bool {
    Facts { alert, meta: None, target }.match_all(matchers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::testing::*;

    #[test]
    fn a_preview_matches_what_a_tick_would() {
        let alert = Alert { rule: "dead_rows".into(), category: "vacuum".into(), subject: table("a"), ..Alert::default() };
        let target = Target { name: "orders-1".into(), cluster: Some("orders".into()), ..Target::default() };
        for (name, value) in [("rule", "dead_rows"), ("category", "vacuum"), ("cluster", "orders"), ("table", "a")] {
            assert!(is_matched(&alert, &target, &matching(name, value)), "{name}={value}");
            assert!(!is_matched(&alert, &target, &matching(name, "other")), "{name}");
        }
    }
}
