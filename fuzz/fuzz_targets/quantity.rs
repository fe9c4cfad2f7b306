//! `cargo +nightly fuzz run quantity`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgsteward_fuzz::quantity(data));
