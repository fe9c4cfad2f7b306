//! Updates that miss HOT because pages are full: advises a lower fillfactor. One row in, at most one finding out.
//!
//! An update is HOT when it touches no indexed column and the new version fits on the same page; only the second can be
//! helped. From PostgreSQL 16 on `n_tup_newpage_upd` counts the updates that moved to another page. Before that nobody
//! counts why an update missed HOT, so half of the misses are taken to be for want of room.
use pgsteward_sdk::prelude::*;

plugin! {
    plugin "hot_updates" { version "1.0.0"; summary "Advises a fillfactor where updates miss HOT for want of room"; }

    rule "hot_updates_lost" {
        title "Updates miss HOT because the pages are full";
        category "vacuum";
        tier "advice";
        interval "1h";
        runbook "Why: an update that misses HOT writes every index and leaves a dead row that only vacuum takes away.\n\
                 Do: lower the fillfactor; it holds for pages written from now on, so repack or wait.\n\
                 False alarm: updates of indexed columns can never be HOT; the share moved to a new page tells them apart (16+).";

        settings Settings {
            number min_rate = 10.0, 0.0..=1e6, "/s", "tables with fewer updates a second are left alone";
            number min_share = 0.5, 0.0..=1.0, "ratio", "advise below this share of HOT updates";
            number min_moved = 0.3, 0.0..=1.0, "ratio", "advise only above this share of updates that went to another page";
            number least = 70.0, 10.0..=90.0, "%", "never advise a lower fillfactor";
        }
        from "tables" row Table {
            rate n_tup_upd as updates;
            rate n_tup_hot_upd as hot;
            gauge fillfactor;
            optional rate n_tup_newpage_upd as moved;
        }
        rows judge;
    }
}

fn judge(t: &Table, set: &Settings) -> Option<Finding> {
    if t.updates <= 0.0 || t.updates < set.min_rate {
        return None;
    }
    let share = |part: f64| (part / t.updates).clamp(0.0, 1.0);
    let hot = share(t.hot);
    let moved = t.moved.map_or((1.0 - hot) / 2.0, share);
    let advised = (t.fillfactor - 15.0).max(set.least).round();
    if hot >= set.min_share || moved < set.min_moved || advised >= t.fillfactor {
        return None;
    }
    let finding = info("{schema}.{table}: a share of {hot share} of its updates is HOT, {moved share} went to another page")
        .evidence("hot share", hot, set.min_share, "ratio")
        .evidence("moved share", moved, set.min_moved, "ratio")
        .evidence("tables.fillfactor", t.fillfactor, None, "%")
        .action(alter_table_storage().fillfactor(advised).why("leaves room for the next row version on the same page"))
        .link("HOT updates", "https://www.postgresql.org/docs/current/storage-hot.html");
    let guess = "Before PostgreSQL 16 nobody counts why an update missed HOT: half of the misses are taken to be for want of room.";
    Some(if t.moved.is_none() { finding.detail(guess) } else { finding })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> Table {
        Table { updates: 100.0, hot: 20.0, fillfactor: 100.0, moved: Some(70.0) }
    }

    #[test]
    fn advises_where_pages_are_full() {
        let found = judge(&busy(), &Settings::default()).expect("a finding");
        assert_eq!(found.actions[0].param("fillfactor"), Some(&Value::Number(85.0)));
        assert_eq!((found.evidence[0].value, found.evidence[1].value), (0.2, 0.7));
    }

    #[test]
    fn quiet_when_hot_or_still_or_when_the_updates_stayed_on_their_page() {
        let set = Settings::default();
        assert_eq!(judge(&Table { hot: 90.0, ..busy() }, &set), None);
        assert_eq!(judge(&Table { updates: 0.0, hot: 0.0, ..busy() }, &Settings { min_rate: 0.0, ..set.clone() }), None);
        assert_eq!(judge(&Table { moved: Some(5.0), ..busy() }, &set), None);
    }

    #[test]
    fn never_below_the_least() {
        let set = Settings::default();
        let low = judge(&Table { fillfactor: 80.0, ..busy() }, &set).expect("a finding");
        assert_eq!(low.actions[0].param("fillfactor"), Some(&Value::Number(70.0)));
        assert_eq!(judge(&Table { fillfactor: 70.0, ..busy() }, &set), None);
    }

    #[test]
    fn an_older_server_is_judged_by_a_guess_that_is_said() {
        let found = judge(&Table { moved: None, ..busy() }, &Settings::default()).expect("a finding");
        assert!(found.detail.contains("half of the misses"), "{}", found.detail);
    }
}
