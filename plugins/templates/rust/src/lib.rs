//! {{name}}: tables whose rows change much faster than statistics are refreshed, so that plans are made from old numbers.
use pgsteward_sdk::prelude::*;

plugin! {
    plugin "{{name}}" { version "0.1.0"; summary "Finds tables with stale statistics"; }

    rule "{{name}}" {
        title "Statistics are older than the data";
        category "vacuum";
        tier "ticket";
        for "10m";
        runbook "Do: ANALYZE the table, then lower its autovacuum_analyze_scale_factor.";

        settings Settings {
            number share = 50.0, 1.0..=1000.0, "%", "warn when more changes than this share of its rows came since the last analyze";
            number min_rows = 10000.0, 0.0..=1e12, "rows", "smaller tables are left alone";
        }
        from "tables" row Table {
            gauge live;
            gauge changed_since_analyze as changed;
            optional gauge analyze_age; // an Option: unknown when the table was never analyzed
        }
        rows judge;
    }
}

/// Rows in which `live` or `changed` is unknown do not come here: pgsteward holds their alerts.
fn judge(t: &Table, set: &Settings) -> Option<Finding> {
    // More than 100 % where rows changed more than once.
    let share = 100.0 * (t.changed / t.live.max(1.0));
    if t.live < set.min_rows || share <= set.share {
        return None;
    }
    let finding = warning("{schema}.{table}: changes of {changed share} of its {tables.live} since the last analyze")
        .evidence("changed share", share, set.share, "%")
        .evidence("tables.live", t.live, None, "rows")
        .action(analyze().why("plans are made from old numbers"));
    Some(match t.analyze_age {
        Some(age) => finding.detail(format!("The last analyze was {} ago.", span(age))),
        None => finding.detail("It was never analyzed."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warns_when_most_rows_changed() {
        let t = Table { live: 1e6, changed: 9e5, analyze_age: Some(86_400.0) };
        let found = judge(&t, &Settings::default()).expect("a finding");
        assert_eq!(found.severity, Severity::Warning);
        assert_eq!(found.detail, "The last analyze was 1d ago.");
    }

    #[test]
    fn quiet_when_few_changed_or_the_table_is_small() {
        let t = Table { live: 1e6, changed: 1e5, ..Table::default() };
        assert_eq!(judge(&t, &Settings::default()), None);
        assert_eq!(judge(&Table { live: 100.0, changed: 100.0, ..t }, &Settings::default()), None);
    }
}
