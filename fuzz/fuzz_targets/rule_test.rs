//! `cargo +nightly fuzz run rule_test`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgsteward_fuzz::rule_test(data));
