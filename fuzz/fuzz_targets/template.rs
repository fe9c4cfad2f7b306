//! `cargo +nightly fuzz run template`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgsteward_fuzz::template(data));
