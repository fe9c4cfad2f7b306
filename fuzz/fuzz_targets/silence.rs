//! `cargo +nightly fuzz run silence`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgsteward_fuzz::silence(data));
