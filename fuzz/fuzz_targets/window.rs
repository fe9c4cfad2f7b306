//! `cargo +nightly fuzz run window`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgsteward_fuzz::window(data));
