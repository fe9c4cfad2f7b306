//! `cargo +nightly fuzz run rule_yaml`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgsteward_fuzz::rule_yaml(data));
