//! Golden hashes: the data of the shipped experiments never changes unnoticed.

use seqzoo_recall::experiment::{Experiment, SHIPPED};
use seqzoo_recall::task::{Coordinates, Split};
use sha2::{Digest, Sha256};

/// What is hashed of a segment at most.
const TOKENS: usize = 1 << 21;

/// SHA-256 of the first 1000 examples of every segment of every shipped experiment, fewer of long ones.
#[test]
fn the_data_of_the_shipped_experiments_is_what_it_was() {
    let mut lines = String::new();
    for shipped in SHIPPED {
        let experiment = Experiment::shipped(shipped.name).unwrap().unwrap();
        let seed = experiment.seeds[0];
        for split in [Split::Train, Split::Test] {
            for (segment, (slice, _)) in experiment.task.segments(split).into_iter().enumerate() {
                let mut hash = Sha256::new();
                for index in 0..(TOKENS / slice.length).min(1000) as u64 {
                    let at = Coordinates { seed, split, segment: segment as u64, index };
                    hash.update(experiment.task.example(at).bytes());
                }
                let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
                lines +=
                    &format!("{:<6} {split:?} {slice:<18} {hash}\n", shipped.name, slice = slice.to_string());
            }
        }
    }
    insta::assert_snapshot!("hashes", lines);
}
