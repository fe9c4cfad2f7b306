//! Frames for the tests of this room: a small catalog and snapshots of `tables`.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{
    Catalog, ColumnData, ColumnDef, ColumnKind, Cost, Coverage, Frame, FrameDef, Reading, Sensitivity, Snapshot, Target, Unit,
};

/// `name kind unit`, where the kind of a key column is `key`.
const FRAMES: &[(&str, &str)] = &[
    (
        "tables",
        "database key,schema key,table key,live gauge rows,dead gauge rows,vacuum_trigger gauge rows,heap_bytes gauge bytes,\
         total_bytes gauge bytes,vacuum_age gauge s,analyze_age gauge s,bloat_pct gauge %,vacuum_running flag,autovacuum_enabled flag,\
         n_tup_upd counter rows",
    ),
    (
        "connections",
        "clients gauge,active gauge,idle gauge,idle_in_transaction gauge,waiting_on_lock gauge,max_connections gauge,reserved gauge,used_pct gauge %",
    ),
    ("databases", "database key,blks_hit counter,blks_read counter,deadlocks counter"),
    ("statements", "database key,role key,queryid key,toplevel key,calls counter,total_time counter ms"),
    ("sizes", "database key,bytes gauge bytes"),
    (
        "indexes",
        "database key,schema key,index key,table label,bytes gauge bytes,scans gauge,stats_age gauge s,is_unique flag,is_primary flag,\
         is_valid flag,backs_constraint flag,is_replica_identity flag,supports_fk flag,is_partition_attached flag",
    ),
    ("target", "reachable flag"),
    ("xmin_holders", "source key,who key,age gauge s"),
    ("replication", "application key,replay_lag gauge s,replay_lag_bytes gauge bytes"),
    ("disk", "mount key,used_pct gauge %"),
    ("freeze", "database key,xid_pct gauge %"),
    ("sessions", "pid key,xact_age gauge s"),
    ("blocking", "pid key,blocked gauge"),
    ("sequences", "database key,schema key,sequence key,used_pct gauge %"),
];

pub(super) fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for (name, columns) in FRAMES {
        catalog.add(def(name, columns)).unwrap();
    }
    catalog
}

fn def(name: &str, columns: &str) -> FrameDef {
    let words = |column: &str| column.split_whitespace().map(String::from).collect::<Vec<_>>();
    let all: Vec<Vec<String>> = columns.split(',').map(words).collect();
    let column = |words: &Vec<String>| ColumnDef {
        name: words[0].clone(),
        kind: match words[1].as_str() {
            "key" | "label" => ColumnKind::Label,
            "gauge" => ColumnKind::Gauge,
            "counter" => ColumnKind::Counter,
            "flag" => ColumnKind::Flag,
            other => panic!("{other}"),
        },
        unit: words.get(2).map_or(Unit::None, |u| Unit::parse(u).unwrap()),
        sensitivity: Sensitivity::Public,
        doc: format!("{} of {name}", words[0]),
    };
    FrameDef {
        name: name.into(),
        doc: String::new(),
        key: all.iter().filter(|words| words[1] == "key").map(|words| words[0].clone()).collect(),
        columns: all.iter().map(column).collect(),
        reset_column: None,
    }
}

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// `tables` of the schema `public` in the database `app`, with only `dead` known.
pub(super) fn tables(dead: &[(&str, f64)], coverage: Coverage) -> Arc<Snapshot> {
    let def = catalog().frame("tables").unwrap().clone();
    let data = |column: &ColumnDef| match column.name.as_str() {
        "database" => ColumnData::Text(Arc::new(dead.iter().map(|_| Some("app")).collect())),
        "schema" => ColumnData::Text(Arc::new(dead.iter().map(|_| Some("public")).collect())),
        "table" => ColumnData::Text(Arc::new(dead.iter().map(|(name, _)| Some(*name)).collect())),
        "dead" => ColumnData::Float(dead.iter().map(|(_, n)| *n).collect()),
        _ => ColumnData::unknown(column.kind, dead.len()),
    };
    let columns = def.columns.iter().map(data).collect();
    let mut frame = Frame::new(def, at(0), columns).unwrap();
    frame.coverage = coverage;
    snapshot([("tables".to_string(), Reading::Collected(Arc::new(frame)))])
}

pub(super) fn snapshot<const N: usize>(frames: [(String, Reading); N]) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        form: Snapshot::FORM,
        target: Target { name: "orders-1".into(), cluster: None, labels: [("tier", "prod")].into_iter().collect() },
        taken_at: at(0),
        server: None,
        frames: BTreeMap::from(frames),
        cost: Cost::default(),
    })
}

pub(super) fn table(name: &str) -> crate::model::Labels {
    [("database", "app"), ("schema", "public"), ("table", name)].into_iter().collect()
}
