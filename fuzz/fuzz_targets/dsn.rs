//! `cargo +nightly fuzz run dsn`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgsteward_fuzz::dsn(data));
