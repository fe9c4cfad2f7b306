//! The binary: parse, call `cli`.

fn main() {}
