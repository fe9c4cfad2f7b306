//! The functions of `fuzz/` over their seeds and over seeds that were damaged: what libFuzzer does for hours, for a moment.
//!
//! Which damage is done is drawn by proptest, so that what fails is cut down to little.
//! `PROPTEST_CASES=20000` makes it a longer moment.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../fuzz/targets.rs"]
mod targets;

use proptest::prelude::*;
use targets::TARGETS;

/// What stands in for text that a person, a script or an enemy might have written there.
const WORDS: [&str; 16] =
    ["\0", "\"", "'", ": ", "- ", "\n", "\t", "{", "]", "&a *a", "${", "{{", "-1", "1e999", "\u{202e}", "9999999999999999999999"];

/// One piece of damage, at a place given as a share of the length.
#[derive(Debug, Clone)]
enum Damage {
    Flip(u16, u8),
    Drop(u16, u8),
    Insert(u16, &'static str),
    Double(u16, u8),
    End(u16),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<u16>(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (any::<u16>(), any::<u8>()).prop_map(|(at, length)| Damage::Drop(at, length)),
        (any::<u16>(), prop::sample::select(WORDS.to_vec())).prop_map(|(at, word)| Damage::Insert(at, word)),
        (any::<u16>(), any::<u8>()).prop_map(|(at, length)| Damage::Double(at, length)),
        any::<u16>().prop_map(Damage::End),
    ]
}

fn damaged(mut bytes: Vec<u8>, damage: &Damage) -> Vec<u8> {
    let place = |share: u16, bytes: &[u8]| bytes.len() * usize::from(share) / (usize::from(u16::MAX) + 1);
    let range = |share: u16, length: u8, bytes: &[u8]| {
        let from = place(share, bytes);
        from..bytes.len().min(from + usize::from(length))
    };
    match damage {
        Damage::Flip(at, bits) => {
            let at = place(*at, &bytes);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
        Damage::Drop(at, length) => drop(bytes.drain(range(*at, *length, &bytes))),
        Damage::Insert(at, word) => {
            let at = place(*at, &bytes);
            bytes.splice(at..at, word.bytes());
        }
        Damage::Double(at, length) => {
            let range = range(*at, *length, &bytes);
            let piece = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, piece);
        }
        Damage::End(at) => bytes.truncate(place(*at, &bytes)),
    }
    bytes
}

#[test]
fn the_seeds_pass_every_door() {
    for target in TARGETS {
        assert!(!target.seeds.is_empty(), "{} has no seed", target.name);
        target.seeds.iter().for_each(|seed| (target.run)(seed));
    }
}

#[test]
fn every_door_is_a_target_for_the_fuzzer() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for target in TARGETS {
        let program = std::fs::read_to_string(folder.join(format!("fuzz_targets/{}.rs", target.name))).unwrap();
        assert!(program.contains(&format!("pgsteward_fuzz::{}(", target.name)), "{}", target.name);
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
    }
    assert_eq!(std::fs::read_dir(folder.join("fuzz_targets")).unwrap().count(), TARGETS.len());
}

/// Runs one door over damaged seeds.
fn holds(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = prop::sample::select(target.seeds.to_vec());
    let usual = ProptestConfig::with_source_file(file!());
    // A sample goes through every shipped rule.
    let cases = if name == "sample" { usual.cases / 4 } else { usual.cases };
    let config = ProptestConfig { cases, ..usual };
    let inputs = (seeds, prop::collection::vec(damage(), 1..6));
    proptest::test_runner::TestRunner::new(config)
        .run(&inputs, |(seed, damages)| {
            let bytes = damages.iter().fold(seed.to_vec(), damaged);
            (target.run)(&bytes);
            Ok(())
        })
        .unwrap();
}

#[test]
fn damaged_text_passes_every_door() {
    TARGETS.iter().for_each(|target| holds(target.name));
}
