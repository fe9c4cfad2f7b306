//! `cargo +nightly fuzz run sample`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgsteward_fuzz::sample(data));
