//! `cargo +nightly fuzz run matchers`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgsteward_fuzz::matchers(data));
