//! `cargo +nightly fuzz run plugin_file`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgsteward_fuzz::plugin_file(data));
