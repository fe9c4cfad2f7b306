//! `plugins:` in a config: everything that is wrong with it at once, each at its line and column.

use super::place::Place;

const SICK: &str = r#"version: 1
targets: [{name: a, dsn: host=a}]
channels: {log: {kind: log, file: /tmp/x}}
routes: {channel: log}
plugins:
  signed_by:
    - RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3
    - "untrusted comment: minisign public key"
  limits: {fule: 1G, fuel: 1e18, wall_ms: soon}
  use:
    hot_updates:
      enabled: perhaps
      sha256: abc
      grant: [metrics, files]
      limits: {memory_bytes: 0, findings: 1.5, text_bytes: [1]}
      version: 1.0.0
    Other: 7
  unsigned: true
"#;

#[test]
fn every_problem_is_told_at_its_place() {
    let place = Place::new();
    place.file("sick.yaml", SICK);
    let checked = place.ran(&["config", "check", "sick.yaml"]).ends(1);
    insta::assert_snapshot!(checked.all());
}

#[test]
fn one_without_a_problem_passes() {
    let place = Place::new();
    place.install(&super::guest::Guest::default());
    let hash = super::place::sha256(&place.path("guest.wasm"));
    place.config(&format!(
        "schedule: {{every: 1m}}\nplugins:\n  limits: {{fuel: 10G, memory_bytes: 256MB, wall_ms: 5s}}\n  use:\n    guest: {{sha256: \"{hash}\", grant: [metrics], limits: {{findings: 100}}}}\n"
    ));
    let checked = place.ran(&["config", "check", "pgsteward.yaml"]).ends(0);
    assert_eq!(checked.err, "");
}
