//! The binary: parse, call `cli`.

fn main() -> std::process::ExitCode {
    pgsteward::cli::main()
}
