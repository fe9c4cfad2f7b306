//! `explain` of a plugin's rule: what it reads, what its `where` says, what it reports; not what it thinks.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use pgsteward::app::setup;
use pgsteward::collect::metrics;
use pgsteward::model::*;
use pgsteward::store::{Store, TickCommit};

use super::guest::{Finding, Guest, Rule, Setting};
use super::place::Place;

/// Three tables of which the plugin reports the first that it is handed.
fn seen(at: DateTime<Utc>) -> Snapshot {
    let def = metrics::catalog().frame("tables").unwrap().clone();
    let rows: [(&str, f64); 3] = [("big", 50_000.0), ("small", 500.0), ("other", 60_000.0)];
    let column = |column: &ColumnDef| match column.name.as_str() {
        "table" => ColumnData::Text(Arc::new(rows.iter().map(|(name, _)| Some(*name)).collect())),
        "database" | "schema" => ColumnData::Text(Arc::new(rows.iter().map(|_| Some("app")).collect())),
        "dead" => ColumnData::Float(rows.iter().map(|(_, dead)| *dead).collect()),
        "heap_bytes" => ColumnData::Float(rows.iter().map(|_| 4e9).collect()),
        _ => ColumnData::unknown(column.kind, rows.len()),
    };
    let columns = def.columns.iter().map(column).collect();
    let frame = Frame::new(def, at, columns).unwrap();
    Snapshot {
        form: Snapshot::FORM,
        target: Target { name: "demo".into(), ..Target::default() },
        taken_at: at,
        server: Some(Server::default()),
        frames: BTreeMap::from([("tables".to_string(), Reading::Collected(Arc::new(frame)))]),
        cost: Cost::default(),
    }
}

fn watched(place: &Place) {
    let at: DateTime<Utc> = "2026-01-05T17:00:00Z".parse().unwrap();
    let mut store = Store::open(&setup::store_path(&place.path("state"))).unwrap();
    store.acquire_lease("demo", "me", at, 60).unwrap();
    let (snapshot, decision) = (seen(at), Decision::default());
    let commit =
        TickCommit { target: "demo", owner: "me", now: at, snapshot: &snapshot, outcomes: &[], decision: &decision, base_version: 0 };
    store.commit(&commit).unwrap();
}

#[test]
fn what_is_known_of_a_plugins_rule_is_told_and_the_rest_is_said_to_be_hidden() {
    let place = Place::new();
    let least = Setting { name: "least", default: 10_000.0, range: (1.0, 1e9), unit: "rows" };
    let rule = Rule {
        needs: &["tables.dead", "tables.heap_bytes", "tables.vacuum_age?"],
        settings: &[least],
        extra: &[("where", "tables.dead >= least")],
        ..Rule::default()
    };
    let finding = Finding { evidence: &[("dead rows", 50_000.0)], ..Finding::default() };
    place.install(&Guest { rules: vec![rule], ..Guest::finding(finding) });
    watched(&place);
    let page = |table: &str| place.ran(&["explain", "guest_rule", table, "--at", "2026-01-05 17:01"]).ends(0).out;
    insta::assert_snapshot!("explain_plugin_found", page("big"));
    insta::assert_snapshot!("explain_plugin_not_handed_over", page("small"));
    let quiet = page("other");
    assert!(quiet.contains("Quiet, and it could tell"), "{quiet}");
    assert!(quiet.contains("true   tables.dead >= least") && quiet.contains("its own reasoning is not"), "{quiet}");
}
