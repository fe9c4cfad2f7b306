//! Only what one of the configured keys signed: at installing, and each time it is to run.

use std::io::Cursor;

use minisign::KeyPair;

use super::guest::{Finding, Guest};
use super::place::{Place, sha256};

fn guest() -> Guest<'static> {
    Guest::finding(Finding::default())
}

fn sign(place: &Place, file: &str, key: &KeyPair) {
    let bytes = std::fs::read(place.path(file)).unwrap();
    let signature = minisign::sign(Some(&key.pk), &key.sk, Cursor::new(bytes), None, None).unwrap();
    place.file(&format!("{file}.minisig"), signature.into_string());
}

/// A place that demands signatures by this key, with a plugin that has none.
fn strict(key: &KeyPair) -> Place {
    let place = Place::new();
    place.config(&format!("plugins: {{signed_by: [{}]}}\n", key.pk.to_base64()));
    place.file("guest.wasm", guest().component());
    place
}

const INSTALL: [&str; 5] = ["plugin", "install", "guest.wasm", "--config", "pgsteward.yaml"];
const CHECK: [&str; 2] = ["--config", "pgsteward.yaml"];

fn key() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().unwrap()
}

#[test]
fn a_signed_plugin_is_installed_and_runs() {
    let key = key();
    let place = strict(&key);
    sign(&place, "guest.wasm", &key);
    place.ran(&INSTALL).ends(0);
    assert_eq!(place.check(&CHECK).goes_on().findings("guest_rule").len(), 1);
    let listed = |args: &[&str]| place.ran(&[&["plugin", "list"], args].concat()).ends(0).out;
    assert!(listed(&CHECK).contains(" yes "), "{}", listed(&CHECK));
    assert!(listed(&[]).contains(" by an unknown key "), "{}", listed(&[]));
}

#[test]
fn an_unsigned_one_and_one_by_another_key_are_refused() {
    let key = key();
    let place = strict(&key);
    let unsigned =
        "it is not signed, and the config demands a signature (`plugins: {signed_by: ..}`); get its `.minisig` file and install it again";
    place.ran(&INSTALL).ends(3).says(&["guest.wasm", unsigned]);
    for (signature, reason) in [("rubbish", "its signature does not hold: it cannot be read"), ("", "it cannot be read")] {
        place.file("guest.wasm.minisig", signature);
        place.ran(&INSTALL).ends(3).says(&["guest.wasm", reason]);
    }
    sign(&place, "guest.wasm", &self::key());
    place.ran(&INSTALL).ends(3).says(&["guest.wasm", "its signature does not hold: none of the keys in the config made it"]);
    // The right key, but for another file.
    place.file("other.wasm", Guest { version: "2.0.0", ..guest() }.component());
    sign(&place, "other.wasm", &key);
    std::fs::copy(place.path("other.wasm.minisig"), place.path("guest.wasm.minisig")).unwrap();
    place.ran(&INSTALL).ends(3).says(&["none of the keys in the config made it"]);
    assert!(!place.shelf("guest.json").exists());
}

#[test]
fn one_that_was_installed_before_signatures_were_demanded_does_not_run() {
    let (key, other) = (key(), self::key());
    let place = strict(&key);
    place.ran(&["plugin", "install", "guest.wasm"]).ends(0);
    let check = place.check(&CHECK).goes_on();
    let reason =
        "it is not signed, and the config demands a signature (`plugins: {signed_by: ..}`); get its `.minisig` file and install it again";
    assert_eq!(check.outcome("guest_rule"), Some(("skipped", reason)));
    assert_eq!(check.unusable(), [format!("plugin guest 1.0.0: error: it does not run: {reason}")]);
    let listed = |args: &[&str]| place.ran(&[&["plugin", "list"], args].concat()).ends(0).out;
    assert!(listed(&[]).contains(" on ") && listed(&CHECK).contains(" refused "), "{}", listed(&CHECK));
    sign(&place, "guest.wasm", &other);
    place.ran(&["plugin", "install", "guest.wasm"]).ends(0);
    let reason = "its signature does not hold: none of the keys in the config made it";
    assert_eq!(place.check(&CHECK).goes_on().outcome("guest_rule"), Some(("skipped", reason)));
    assert!(place.ran(&["plugin", "list", "--config", "pgsteward.yaml"]).ends(0).out.contains(" wrongly "));
    sign(&place, "guest.wasm", &key);
    place.ran(&INSTALL).ends(0);
    assert_eq!(place.check(&CHECK).goes_on().findings("guest_rule").len(), 1);
    // A newer one without a signature does not inherit the old one's.
    std::fs::remove_file(place.path("guest.wasm.minisig")).unwrap();
    place.install(&Guest { version: "1.1.0", ..guest() });
    assert_eq!(place.check(&CHECK).goes_on().outcome("guest_rule").unwrap().0, "skipped");
}

#[test]
fn a_pinned_plugin_is_that_file_and_no_other() {
    let place = Place::new();
    place.install(&guest());
    let (hash, wrong) = (sha256(&place.path("guest.wasm")), "0".repeat(64));
    place.config(&format!("plugins: {{use: {{guest: {{sha256: \"{}\"}}}}}}\n", hash.to_uppercase()));
    assert_eq!(place.check(&CHECK).goes_on().findings("guest_rule").len(), 1, "capital letters are the same digits");
    place.config(&format!("plugins: {{use: {{guest: {{sha256: \"{wrong}\"}}}}}}\n"));
    let check = place.check(&CHECK).goes_on();
    let reason = format!("its SHA-256 is {hash}, the config pins {wrong}; install the pinned file, or pin this one after reading it");
    assert_eq!(check.outcome("guest_rule"), Some(("skipped", reason.as_str())));
    assert_eq!(check.unusable(), [format!("plugin guest 1.0.0: error: it does not run: {reason}")]);
    place
        .ran(&["plugin", "install", "guest.wasm", "--sha256", &wrong])
        .ends(3)
        .says(&["guest.wasm", &format!("its SHA-256 is {hash}, not {wrong}")]);
    place.ran(&["plugin", "install", "guest.wasm", "--sha256", &hash.to_uppercase()]).ends(0);
    place.ran(&INSTALL).ends(3).says(&["the config pins", &wrong]);
}
