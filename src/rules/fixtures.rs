//! What the tests of this room share: a small catalog, snapshots of `tables`, and a simple life of alerts.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{
    About, Alert, Book, Catalog, ColumnData, ColumnDef, ColumnKind, Cost, Coverage, DecideConfig, Decision, Finding, Fingerprint, Frame,
    FrameDef, Labels, NoticeKind, Outcome, Reading, Reason, RuleMeta, RuleOutcome, Sensitivity, Snapshot, State, Step, Target, Telling,
    Tier, Unit,
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

/// What a rule declares that declares next to nothing.
pub(super) fn meta() -> RuleMeta {
    RuleMeta {
        id: "probe".into(),
        title: "a probe".into(),
        category: "test".into(),
        tier: Tier::Page,
        pack: "page".into(),
        enabled: true,
        inputs: Vec::new(),
        from: None,
        settings: Vec::new(),
        for_s: 0,
        keep_firing_for_s: 0,
        interval_s: 300,
        labels: Labels::default(),
        channels: Vec::new(),
        runbook: String::new(),
        fire_when_missing: false,
        engine: "test".into(),
        source: "r.yaml".into(),
        hash: "h".into(),
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

pub(super) fn table(name: &str) -> Labels {
    [("database", "app"), ("schema", "public"), ("table", name)].into_iter().collect()
}

/// A life of alerts that is just enough to try the series of a test file: pending for `for`, firing until the finding is
/// gone for `keep_firing_for`, held through everything that proves nothing. The real one is `alert`'s.
pub(super) fn decide(book: &Book, outcomes: &[RuleOutcome], config: &DecideConfig, now: DateTime<Utc>) -> Decision {
    let mut decision = Decision { book: book.clone(), ..Decision::default() };
    for RuleOutcome { meta, outcome } in outcomes {
        let Outcome::Ok(evaluation) = outcome else { continue };
        decision.book.rules.entry(meta.id.clone()).or_default().last_ok = Some(now);
        for finding in &evaluation.findings {
            let alert = decision.book.alerts.entry(fingerprint(&finding.subject)).or_insert_with(|| Arc::new(born(meta, finding, now)));
            let alert = Arc::make_mut(alert);
            alert.recovering_at = None;
            let lasted = (now - alert.active_at).num_seconds() >= meta.for_s as i64;
            let firing = lasted && alert.state == State::Pending;
            alert.state = if lasted { State::Firing } else { State::Pending };
            if firing {
                let notice = notice(alert, NoticeKind::Firing, config, now);
                decision.tellings.push(notice);
            }
        }
        let stays = |alert: &Alert| {
            evaluation.findings.iter().map(|f| &f.subject).chain(evaluation.held.iter().map(|h| &h.subject)).any(|s| *s == alert.subject)
        };
        let gone: Vec<Fingerprint> = decision.book.alerts.values().filter(|a| !stays(a)).map(|a| a.fingerprint.clone()).collect();
        for fingerprint in gone {
            let Some(alert) = decision.book.alerts.get_mut(&fingerprint).map(Arc::make_mut) else { continue };
            let since = *alert.recovering_at.get_or_insert(now);
            if alert.state != State::Pending && (now - since).num_seconds() < meta.keep_firing_for_s as i64 {
                alert.state = State::Recovering;
                continue;
            }
            if alert.state != State::Pending {
                let notice = notice(alert, NoticeKind::Resolved, config, now);
                decision.tellings.push(notice);
                decision.steps.push(resolved(alert, now));
            }
            decision.book.alerts.remove(&fingerprint);
        }
    }
    decision
}

fn fingerprint(subject: &Labels) -> Fingerprint {
    Fingerprint(format!("<{subject}>"))
}

fn born(meta: &RuleMeta, finding: &Finding, now: DateTime<Utc>) -> Alert {
    Alert {
        fingerprint: fingerprint(&finding.subject),
        episode: "e".into(),
        rule: meta.id.clone(),
        title: meta.title.clone(),
        target: "test".into(),
        subject: finding.subject.clone(),
        labels: Labels::default(),
        tier: meta.tier,
        severity: finding.severity,
        state: State::Pending,
        active_at: now,
        fired_at: None,
        recovering_at: None,
        seen_at: now,
        held: None,
        suppressed_by: None,
        summary: finding.summary.clone(),
        detail: String::new(),
        evidence: Vec::new(),
        actions: Vec::new(),
        ..Alert::default()
    }
}

fn notice(alert: &Alert, kind: NoticeKind, config: &DecideConfig, now: DateTime<Utc>) -> Telling {
    let (alert, key, channel) = (Arc::new(alert.clone()), kind.to_string(), config.route.channels.first().cloned().unwrap_or_default());
    Telling::Of(About { alert, key, channel, kind, reason: Reason::FirstOfEpisode, aside: None, at: now })
}

fn resolved(alert: &Alert, now: DateTime<Utc>) -> Step {
    let (from, alert) = (alert.state, Arc::new(Alert { state: State::Resolved, ..alert.clone() }));
    Step::Of { alert, from, reason: Reason::Cleared, behind: Arc::default(), at: now }
}
