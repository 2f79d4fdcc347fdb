//! Golden hashes: the data of the shipped experiments never changes unnoticed.

use seqzoo_recall::experiment::{Experiment, SHIPPED};
use seqzoo_recall::task::{Coordinates, Split, Task};
use sha2::{Digest, Sha256};

/// What is hashed of a segment at most.
const TOKENS: usize = 1 << 21;

/// SHA-256 of the first 1000 examples of every segment of every shipped experiment, fewer of long ones. Experiments on
/// the same data stand together.
#[test]
fn the_data_of_the_shipped_experiments_is_what_it_was() {
    let mut data: Vec<(Task, u64, Vec<&str>)> = Vec::new();
    for shipped in SHIPPED {
        let experiment = Experiment::shipped(shipped.name).unwrap().unwrap();
        let (task, seed) = (experiment.task, experiment.seeds[0]);
        match data.iter_mut().find(|(other, its_seed, _)| (other, *its_seed) == (&task, seed)) {
            Some((_, _, names)) => names.push(shipped.name),
            None => data.push((task, seed, vec![shipped.name])),
        }
    }
    let mut lines = String::new();
    for (task, seed, names) in data {
        let names = names.join(", ");
        for split in [Split::Train, Split::Test] {
            for (segment, (slice, _)) in task.segments(split).into_iter().enumerate() {
                let mut hash = Sha256::new();
                for index in 0..(TOKENS / slice.length).min(1000) as u64 {
                    let at = Coordinates { seed, split, segment: segment as u64, index };
                    hash.update(task.example(at).bytes());
                }
                let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
                lines += &format!("{names:<6} {split:?} {slice:<18} {hash}\n", slice = slice.to_string());
            }
        }
    }
    insta::assert_snapshot!("hashes", lines);
}
