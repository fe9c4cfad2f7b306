//! `cargo +nightly fuzz run config`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgsteward_fuzz::config(data));
