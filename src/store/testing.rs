//! What the store's tests share: a clock in seconds, small snapshots, alerts and notices.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use super::{AttemptOutcome, LeaseRequest, OutboxRow, Store, StoreError, TickCommit};
use crate::model::{
    About, Alert, Book, ColumnData, ColumnDef, ColumnKind, Decision, Fingerprint, Frame, FrameDef, Labels, Notice, NoticeKind, Reading,
    Reason, RuleMeta, Sensitivity, Severity, Snapshot, State, Target, Telling, Tier, Unit,
};

/// `s` seconds after the epoch.
pub fn at(s: i64) -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(s)
}

/// Two processes on one file.
pub fn two_handles() -> (TempDir, Store, Store) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (one, two) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
    (folder, one, two)
}

/// A frame with one gauge, read at that second.
pub fn frame(name: &str, as_of: i64, values: &[f64]) -> Arc<Frame> {
    let column =
        ColumnDef { name: "n".into(), kind: ColumnKind::Gauge, unit: Unit::None, sensitivity: Sensitivity::Public, doc: String::new() };
    let def = FrameDef { name: name.into(), doc: String::new(), key: vec![], columns: vec![column], reset_column: None };
    Arc::new(Frame::new(Arc::new(def), at(as_of), vec![ColumnData::Float(values.into())]).unwrap())
}

/// A snapshot of these frames, taken at that second.
pub fn snapshot(taken_at: i64, frames: &[Arc<Frame>]) -> Snapshot {
    Snapshot {
        form: Snapshot::FORM,
        target: Target { name: "shop".into(), ..Target::default() },
        taken_at: at(taken_at),
        server: None,
        frames: frames.iter().map(|f| (f.def.name.clone(), Reading::Collected(f.clone()))).collect(),
        cost: Default::default(),
    }
}

/// What a rule of that id declares.
pub fn meta(id: &str) -> RuleMeta {
    let json = serde_json::json!({
        "id": id, "title": "", "category": "", "tier": "page", "pack": "page", "enabled": true, "inputs": [], "from": null,
        "settings": [], "for_s": 0, "keep_firing_for_s": 0, "interval_s": 0, "labels": {}, "channels": [], "runbook": "",
        "fire_when_missing": false, "engine": "rich", "source": "", "hash": ""
    });
    serde_json::from_value(json).unwrap()
}

/// A firing alert.
pub fn alert(name: &str, episode: &str) -> Alert {
    Alert {
        fingerprint: Fingerprint(name.into()),
        episode: episode.into(),
        rule: "too_many".into(),
        title: "too many".into(),
        target: "shop".into(),
        subject: Labels::default(),
        labels: Labels::default(),
        tier: Tier::Ticket,
        severity: Severity::Warning,
        state: State::Firing,
        active_at: at(0),
        fired_at: Some(at(0)),
        recovering_at: None,
        seen_at: at(0),
        held: None,
        suppressed_by: None,
        summary: "12 are too many".into(),
        detail: String::new(),
        evidence: vec![],
        actions: vec![],
        ..Alert::default()
    }
}

/// A notice about that alert for that channel.
pub fn notice(key: &str, alert: &Alert, channel: &str, kind: NoticeKind) -> Notice {
    let (alert, key, channel, at) = (Arc::new(alert.clone()), key.into(), channel.into(), alert.active_at);
    Telling::Of(About { alert, key, channel, kind, reason: Reason::FirstOfEpisode, aside: None, at }).notice()
}

/// The channel took it and answered so.
pub fn delivered(receipt: &str) -> AttemptOutcome {
    AttemptOutcome::Delivered { receipt: receipt.into(), handle: None }
}

/// It was given up for that reason.
pub fn dead(error: &str) -> AttemptOutcome {
    AttemptOutcome::Dead { error: error.into(), fallback: None }
}

/// A decision that leaves exactly these alerts new or changed, and tells these notices.
pub fn decision(alerts: &[Alert], notices: &[Notice]) -> Decision {
    Decision {
        book: Book { alerts: alerts.iter().map(|a| (a.fingerprint.clone(), Arc::new(a.clone()))).collect(), ..Book::default() },
        changed: alerts.iter().map(|a| a.fingerprint.clone()).collect(),
        tellings: notices.iter().cloned().map(Into::into).collect(),
        ..Decision::default()
    }
}

impl Store {
    /// Leases due rows, each as a message of its own, for a minute.
    pub fn lease_rows(&mut self, channel: &str, owner: &str, s: i64, messages: usize) -> Vec<OutboxRow> {
        let ask = LeaseRequest { channel, owner, now: at(s), messages, most: 1, ttl_s: 60, critical: false };
        self.lease_messages(&ask).unwrap().into_iter().flat_map(|batch| batch.rows).collect()
    }

    /// Leases what is due and ends it so; how many there were.
    pub fn end_due(&mut self, channel: &str, s: i64, outcome: &AttemptOutcome) -> usize {
        let ended: Vec<_> = self.lease_rows(channel, "me", s, 64).iter().map(|row| (row.id, outcome.clone())).collect();
        assert_eq!(self.finish("me", &ended, None, at(s)).unwrap(), Vec::<i64>::new());
        ended.len()
    }

    /// Commits a tick of the target `shop` as the owner `me`, on top of whatever version the book has.
    pub fn commit_simply(&mut self, snapshot: &Snapshot, decision: &Decision) -> Result<i64, StoreError> {
        self.acquire_lease("shop", "me", snapshot.taken_at, 60)?;
        let base_version = self.book("shop")?.version;
        self.commit(&TickCommit { target: "shop", owner: "me", now: snapshot.taken_at, snapshot, outcomes: &[], decision, base_version })
    }
}
