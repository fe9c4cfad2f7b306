//! The rule `parity` in Rust. What it must do stands in `../parity/README.md`.
use pgsteward_sdk::prelude::*;

plugin! {
    plugin "parity_rust" { version "1.0.0"; summary "One rule, written four times"; }

    rule "parity" {
        title "Dead rows outrun vacuum";
        category "vacuum";
        tier "ticket";
        for "10m";
        interval "5m";
        runbook "Do: vacuum the table, then lower its autovacuum_vacuum_scale_factor.";

        settings Settings {
            number factor = 2.0, 1.0..=50.0, "x", "warn above this multiple of the trigger";
        }
        from "tables" row Table {
            gauge dead;
            gauge vacuum_trigger;
            rate n_tup_upd as updates;
            optional gauge vacuum_age;
        }
        rows judge;
    }
}

fn judge(t: &Table, set: &Settings) -> Option<Finding> {
    let fresh = if t.vacuum_age.is_some_and(|age| age < 600.0) { 2.0 } else { 1.0 };
    // Room for dead rows: twice of it just after a vacuum, less what ten minutes of updates will add.
    let limit = |times: f64| (times * set.factor * fresh * t.vacuum_trigger - 600.0 * t.updates).max(0.0);
    let (severity, limit) = match t.dead {
        dead if dead > limit(3.0) => (Severity::Critical, limit(3.0)),
        dead if dead > limit(1.0) => (Severity::Warning, limit(1.0)),
        _ => return None,
    };
    let finding = Finding::new(severity, "{schema}.{table} has {tables.dead} dead, more than its updates leave room for")
        .evidence("tables.dead", t.dead, limit, "rows")
        .evidence("updates", t.updates, None, "/s")
        .evidence("tables.vacuum_age", t.vacuum_age.unwrap_or(f64::NAN), None, "s")
        .action(vacuum().analyze(true).why("gets ahead of the updates"));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(dead: f64) -> Table {
        Table { dead, vacuum_trigger: 200_000.0, updates: 100.0, vacuum_age: Some(7_200.0) }
    }

    fn severity(t: &Table) -> Option<Severity> {
        judge(t, &Settings::default()).map(|found| found.severity)
    }

    #[test]
    fn each_severity_has_its_own_limit_and_equal_is_quiet() {
        assert_eq!(severity(&table(340_000.0)), None);
        assert_eq!(severity(&table(340_001.0)), Some(Severity::Warning));
        assert_eq!(severity(&table(1_140_001.0)), Some(Severity::Critical));
        let found = judge(&table(1_140_001.0), &Settings::default()).expect("a finding");
        assert_eq!(found.evidence[0].threshold, Some(1_140_000.0));
    }

    #[test]
    fn just_vacuumed_has_twice_the_room_and_never_vacuumed_has_not() {
        assert_eq!(severity(&Table { vacuum_age: Some(599.0), ..table(500_000.0) }), None);
        assert_eq!(severity(&Table { vacuum_age: None, ..table(500_000.0) }), Some(Severity::Warning));
    }

    #[test]
    fn the_test_file_is_the_one_that_all_four_share() {
        assert_eq!(include_str!("../parity.test.yaml"), include_str!("../../parity/parity.test.yaml"));
    }

    #[test]
    fn the_limit_is_never_below_zero() {
        let flooded = Table { updates: 5_000.0, ..table(0.0) };
        assert_eq!(severity(&flooded), None);
        assert_eq!(severity(&Table { dead: 1.0, ..flooded }), Some(Severity::Critical));
    }
}
