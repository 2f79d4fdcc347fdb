//! The `recall` binary: see [`seqzoo_recall::cli`].
#![recursion_limit = "256"]

fn main() -> std::process::ExitCode {
    seqzoo_recall::cli::main()
}
