//! The channels in blocks of one vector.

use crate::kernel::cpu::lanes::{Real, lanes};
use pulp::Simd;

/// Tokens between two states that a forward pass saves; also how many a pass works on before it goes to the next block.
pub(crate) const CHUNK: usize = 32;

/// Blocks in a task. What channels have in common is summed within a task and then over tasks, so this does not depend
/// on the number of cores.
const TASK: usize = 4;

/// Neighbouring channels of one group, as many as a vector has lanes, or fewer at the end of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Block {
    pub first: usize,
    pub channels: usize,
}

/// Neighbouring blocks of one group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub group: usize,
    /// The first of its blocks, among all.
    pub first: usize,
    pub blocks: usize,
}

/// How the channels are divided.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    pub all: Vec<Block>,
    pub tasks: Vec<Task>,
}

impl Blocks {
    /// Of `channels` in `groups` of one size, for the vectors of `S`.
    pub fn of<S: Simd, E: Real>(channels: usize, groups: usize) -> Self {
        let (lanes, each) = (lanes::<S, E>(), channels / groups);
        let (mut all, mut tasks) = (Vec::new(), Vec::new());
        for group in 0..groups {
            let start = all.len();
            for first in (0..each).step_by(lanes) {
                all.push(Block { first: group * each + first, channels: lanes.min(each - first) });
            }
            for first in (start..all.len()).step_by(TASK) {
                tasks.push(Task { group, first, blocks: TASK.min(all.len() - first) });
            }
        }
        Self { all, tasks }
    }

    /// The blocks of a task.
    pub fn blocks_of(&self, task: &Task) -> &[Block] {
        &self.all[task.first..][..task.blocks]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::Scalar;

    #[test]
    fn blocks_and_tasks_stay_within_a_group() {
        let blocks = Blocks::of::<Scalar, f32>(14, 2);
        assert_eq!(blocks.all.len(), 14);
        assert_eq!(blocks.all[7], Block { first: 7, channels: 1 });
        let sizes: Vec<_> = blocks.tasks.iter().map(|task| (task.group, task.first, task.blocks)).collect();
        assert_eq!(sizes, [(0, 0, 4), (0, 4, 3), (1, 7, 4), (1, 11, 3)]);
    }
}
