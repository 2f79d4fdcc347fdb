//! x
fn main() {
    seqzoo_recall::cli::probe()
}
