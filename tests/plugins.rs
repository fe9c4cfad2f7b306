//! Plugins from the operator's side, through the binary: put in place, used, switched off, signed, pinned, broken,
//! quarantined, swapped while the service runs, and not run at all where code may not be made.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "plugins/broken.rs"]
mod broken;
#[path = "plugins/config.rs"]
mod config;
#[path = "plugins/example.rs"]
mod example;
#[path = "plugins/explain.rs"]
mod explain;
#[path = "plugins/forbidden.rs"]
mod forbidden;
#[path = "support/guest.rs"]
mod guest;
#[path = "plugins/held.rs"]
mod held;
#[path = "plugins/place.rs"]
mod place;
#[path = "plugins/quarantine.rs"]
mod quarantine;
#[path = "plugins/reload.rs"]
mod reload;
#[path = "plugins/shelf.rs"]
mod shelf;
#[path = "plugins/signed.rs"]
mod signed;
mod support;
