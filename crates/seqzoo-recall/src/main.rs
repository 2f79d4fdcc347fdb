//! The `recall` binary: see [`seqzoo_recall::cli`].
#![recursion_limit = "256"]

/// Tensors come and go with every operation. This allocator keeps their pages; the system's may give them
/// back each time, and fetching them anew takes longer than many an operation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    seqzoo_recall::cli::main()
}
