//! Tables of which a large share is dead rows.
use pgsteward_sdk::prelude::*;

plugin! {
    plugin "dead_share" { version "1.0.0"; summary "Finds tables of which a large share is dead rows"; }

    rule "dead_share_high" {
        title "A large share of the table is dead rows";
        category "vacuum";
        for "10m";
        where "tables.dead >= least";
        runbook "Do: vacuum the table; look for what holds vacuum back (old transactions, slots).";

        settings Settings {
            number least = 10_000.0, 1_000.0..=1e9, "rows", "fewer dead rows than this are no matter";
            number most = 0.2, 0.01..=1.0, "ratio", "warn above this share";
        }
        from "tables" row Table {
            gauge dead;
            gauge live;
        }
        rows judge;
    }
}

fn judge(t: &Table, set: &Settings) -> Option<Finding> {
    let share = t.dead / (t.dead + t.live).max(1.0);
    // What is handed over has enough of them, or its alert fires: that ends when there are too few.
    if t.dead < set.least || share <= set.most {
        return None;
    }
    let finding = Finding::new(Severity::Warning, "{schema}.{table}: {tables.dead} dead, a share of {dead share}")
        .evidence("tables.dead", t.dead, set.least, "rows")
        .evidence("dead share", share, set.most, "ratio")
        .action(vacuum().analyze(true).why("makes room for new rows"));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_must_be_passed() {
        let set = Settings::default();
        let found = |dead, live| judge(&Table { dead, live }, &set).is_some();
        assert!(found(10_000.0, 30_000.0) && !found(10_000.0, 40_000.0) && !found(9_999.0, 0.0));
    }
}
