//! Who an alert is, and the key of a notice: hashes of length-prefixed parts, so that no two lists of parts read alike.
//!
//! Both outlive the program (receivers and stores keep them), so their bytes must never change.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::model::{Fingerprint, Labels, NoticeKind, Severity};

/// Who an alert is: the first 128 bits of SHA-256 over rule, target and sorted subject, in hex.
#[must_use]
pub fn fingerprint(rule: &str, target: &str, subject: &Labels) -> Fingerprint {
    let labels = subject.0.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    Fingerprint(digest([rule, target].into_iter().chain(labels)))
}

/// The key by which a receiver drops repeats of one notice. First and last notice of an episode are the same whenever they
/// are decided; one that may come again (`Raised`, `Repeat`, ...) is told apart by its time.
pub(super) fn notice_key(episode: &str, channel: &str, kind: NoticeKind, severity: Severity, now: DateTime<Utc>) -> String {
    let at = match kind {
        NoticeKind::Firing | NoticeKind::Resolved => String::new(),
        _ => now.timestamp_millis().to_string(),
    };
    digest([episode, channel, kind.as_str(), severity.as_str(), at.as_str()].into_iter())
}

/// What a group is known by: its route and the values of its labels.
pub(super) fn group_key(route: &str, labels: &Labels) -> String {
    digest(std::iter::once(route).chain(labels.0.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()])))
}

/// The life that begins now: `3f2a9c01d2e84b76-20260105T100000000Z`. Keys of notices are made of it and of no other name of
/// the alert: with eight digits two of a hundred thousand that begin at once had the same, and one was never told.
pub(super) fn episode(fingerprint: &Fingerprint, now: DateTime<Utc>) -> String {
    let prefix: String = fingerprint.0.chars().take(16).collect();
    format!("{prefix}-{}", now.format("%Y%m%dT%H%M%S%3fZ"))
}

fn digest<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).fold(String::with_capacity(32), |mut hex, byte| {
        // Writing into a String cannot fail.
        write!(hex, "{byte:02x}").map_or_else(|_| String::new(), |()| hex)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    #[test]
    fn alerts_that_begin_at_once_with_alike_fingerprints_live_lives_of_their_own() {
        let life = |hex: &str| episode(&Fingerprint(hex.into()), DateTime::UNIX_EPOCH);
        assert_eq!(life("b8343a244309a692c2a53598c6951436"), "b8343a244309a692-19700101T000000000Z");
        assert_ne!(life("b8343a244309a692c2a53598c6951436"), life("b8343a2401234567c2a53598c6951436"));
    }

    /// The values were computed with Python's `hashlib`; if this fails, every known alert would begin anew.
    #[test]
    fn a_fingerprint_is_the_same_for_ever() {
        let orders = labels(&[("schema", "public"), ("table", "orders")]);
        assert_eq!(fingerprint("dead_rows", "orders-1", &orders).0, "b8343a244309a692c2a53598c6951436");
        assert_eq!(fingerprint("instance_down", "orders-1", &Labels::default()).0, "35cb909fb23a7ca141f20f5a0c511c7a");
    }

    #[test]
    fn parts_that_join_alike_differ() {
        let all = [
            fingerprint("a", "b", &labels(&[])),
            fingerprint("ab", "", &labels(&[])),
            fingerprint("", "ab", &labels(&[])),
            fingerprint("a", "b", &labels(&[("c", "d")])),
            fingerprint("a", "b", &labels(&[("cd", "")])),
            fingerprint("a", "b", &labels(&[("", "cd")])),
            fingerprint("a", "b", &labels(&[("c", "d\0e")])),
            fingerprint("a", "b", &labels(&[("c", "d"), ("e", "")])),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| one != other), "{i}");
        }
    }

    #[test]
    fn only_a_notice_that_may_come_again_has_its_time_in_the_key() {
        let [early, late] = [0, 60].map(|s| DateTime::from_timestamp(s, 0).unwrap());
        let key = |kind, now| notice_key("e", "mail", kind, Severity::Warning, now);
        assert_eq!(key(NoticeKind::Firing, early), key(NoticeKind::Firing, late));
        assert_eq!(key(NoticeKind::Resolved, early), key(NoticeKind::Resolved, late));
        assert_ne!(key(NoticeKind::Raised, early), key(NoticeKind::Raised, late));
        assert_ne!(key(NoticeKind::Repeat, early), key(NoticeKind::Repeat, late));
        assert_ne!(key(NoticeKind::Firing, early), notice_key("e", "log", NoticeKind::Firing, Severity::Warning, early));
    }
}
