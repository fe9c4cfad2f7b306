//! What goes out as one message, and the rows that it settles.

use sha2::{Digest, Sha256};

use super::Message;
use crate::model::NoticeKind;
use crate::store::{Batch, OutboxRow};

/// Notices that a digest shows one by one; of the others it says how many there are.
const DIGEST_SHOWN: usize = 10;

/// A message and its rows.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) rows: Vec<OutboxRow>,
    pub(super) message: Message,
}

impl Packet {
    /// One batch as one message.
    pub(super) fn of(batch: Batch) -> Option<Self> {
        Self::new(batch.rows, batch.previous, false)
    }

    /// All that is over the rate as one message.
    pub(super) fn digest(batches: Vec<Batch>) -> Option<Self> {
        let previous = None;
        Self::new(batches.into_iter().flat_map(|batch| batch.rows).collect(), previous, true)
    }

    fn new(rows: Vec<OutboxRow>, previous: Option<String>, digest: bool) -> Option<Self> {
        let key = key(&rows)?;
        let mut notices: Vec<_> = rows.iter().map(|row| row.notice.clone()).collect();
        // What goes on comes before what is over, so that no digest of both looks harmless for what it leaves out.
        notices.sort_by_key(|notice| std::cmp::Reverse((notice.kind != NoticeKind::Resolved, notice.severity)));
        let shown = if digest { DIGEST_SHOWN } else { notices.len() };
        let omitted = notices.len().saturating_sub(shown);
        notices.truncate(shown);
        Some(Self { message: Message { key, notices, omitted, digest, previous, trends: Vec::new() }, rows })
    }
}

/// The notice's own key when it is alone, else one made of all: the same rows have the same key when they come again.
fn key(rows: &[OutboxRow]) -> Option<String> {
    let [first, others @ ..] = rows else { return None };
    if others.is_empty() {
        return Some(first.notice.key.clone());
    }
    let mut hash = Sha256::new();
    for row in rows {
        hash.update((row.notice.key.len() as u64).to_le_bytes());
        hash.update(row.notice.key.as_bytes());
    }
    Some(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// Which of the leased batches go out by themselves, and which become one digest because no more than `allowed` messages
/// may go out.
pub(super) fn packets(mut batches: Vec<Batch>, allowed: usize) -> Vec<Packet> {
    let over = if batches.len() > allowed { batches.split_off(allowed.saturating_sub(1)) } else { Vec::new() };
    batches.into_iter().filter_map(Packet::of).chain(Packet::digest(over)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, notice};
    use super::*;
    use crate::model::{Notice, Severity};

    fn batch(keys: &[(&str, Severity)]) -> Batch {
        let row = |(key, severity): &(&str, Severity)| OutboxRow {
            id: 1,
            notice: Notice { severity: *severity, ..notice(key) },
            queued_at: at(0),
            attempts: 1,
        };
        Batch { rows: keys.iter().map(row).collect(), previous: Some("thread".into()) }
    }

    fn shown(packet: &Packet) -> Vec<&str> {
        packet.message.notices.iter().map(|notice| notice.key.as_str()).collect()
    }

    #[test]
    fn a_message_shows_the_worst_first_and_the_rest_as_they_were_decided() {
        let packet = Packet::of(batch(&[("a", Severity::Info), ("b", Severity::Critical), ("c", Severity::Info)])).unwrap();
        assert_eq!(shown(&packet), ["b", "a", "c"]);
        assert_eq!((packet.message.previous.as_deref(), packet.message.digest), (Some("thread"), false));
    }

    #[test]
    fn a_digest_is_as_bad_as_the_worst_that_goes_on_whatever_it_leaves_out() {
        let mut over: Vec<Batch> = (0..20).map(|n| batch(&[(format!("over{n}").as_str(), Severity::Critical)])).collect();
        over.iter_mut().for_each(|batch| batch.rows[0].notice.kind = NoticeKind::Resolved);
        over.push(batch(&[("goes on", Severity::Warning)]));
        over.push(batch(&[("worst", Severity::Critical)]));
        let made = packets(over, 1);
        assert_eq!(&shown(&made[0])[..2], ["worst", "goes on"]);
        assert_eq!((made[0].message.severity(), made[0].message.is_resolved()), (Severity::Critical, false));
    }

    #[test]
    fn the_key_is_the_notices_own_or_one_of_all() {
        let key = |keys| Packet::of(batch(keys)).unwrap().message.key;
        assert_eq!(key(&[("a", Severity::Info)]), "a");
        let both = key(&[("a", Severity::Info), ("b", Severity::Info)]);
        assert_eq!(both.len(), 32);
        assert_eq!(both, key(&[("a", Severity::Info), ("b", Severity::Info)]));
        assert_ne!(both, key(&[("a", Severity::Info), ("c", Severity::Info)]));
    }

    #[test]
    fn what_is_over_the_rate_becomes_one_digest_and_no_row_is_dropped() {
        let batches: Vec<Batch> = (0..40).map(|n| batch(&[(format!("k{n:02}").as_str(), Severity::Warning)])).collect();
        let made = packets(batches.clone(), 3);
        assert_eq!(made.len(), 3, "two by themselves and the digest");
        let digest = made.last().unwrap();
        assert_eq!((digest.rows.len(), digest.message.notices.len(), digest.message.omitted), (38, 10, 28));
        assert!(digest.message.digest && digest.message.previous.is_none());
        assert_eq!(packets(batches.clone(), 40).len(), 40);
        assert_eq!(packets(batches, 1).len(), 1);
        assert!(packets(Vec::new(), 0).is_empty());
    }
}
