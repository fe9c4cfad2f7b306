//! A real plugin, built here from the examples: its own tests, packed, installed, on the recorded sick database.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::{Place, run};

/// The folder of the example.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/examples/hot_updates")
}

/// Builds the example's module; a machine that cannot build it fails the test and is told what it lacks.
fn built() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--target", "wasm32-unknown-unknown", "--target-dir"]).arg(&target);
    let ran = run(command.current_dir(folder()));
    let mend = "the tests build an example plugin: `rustup target add wasm32-unknown-unknown`";
    assert_eq!(ran.code, 0, "{mend}\n{}", ran.all());
    target.join("wasm32-unknown-unknown/release/hot_updates.wasm")
}

#[test]
fn an_example_is_built_tested_packed_installed_and_used() {
    let place = Place::new();
    let module = built();
    let out = place.path("hot_updates.wasm");
    let pack = [Path::new("plugin"), Path::new("pack"), &folder(), Path::new("--component"), &module, Path::new("--out"), &out];
    run(place.steward().args(pack)).ends(0).says(&["hot_updates.wasm", "1 test file", "README packed"]);
    place.ran(&["plugin", "test", "hot_updates.wasm"]).ends(0).says(&[" passed, 0 failed"]);
    place.ran(&["plugin", "install", "hot_updates.wasm"]).ends(0).says(&["hot_updates 1.0.0 installed: 1 rule (hot_updates_lost)"]);
    assert_eq!(place.check(&[]).goes_on().outcome("hot_updates_lost"), Some(("ok", "")));
    place.config("rules: {override: [{rule: hot_updates_lost, settings: {min_share: 7}}]}\n");
    let refused = place.ran(&["config", "check", "pgsteward.yaml"]).ends(1);
    refused.says(&["rule `hot_updates_lost`: `min_share` must be 0 to 1, not 7"]);
}
