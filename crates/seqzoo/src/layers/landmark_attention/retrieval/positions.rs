//! Where blocks stand for a query, whatever they are of a long sequence.
//!
//! A model knows positions up to those it was trained on. So a query sees a short sequence: the blocks that it reads, and
//! behind them its own. The last `top_k` blocks stand where they are, seen from the query. All earlier ones are compared
//! as if they stood in one slot before these, and those of them that are read move up from there, in their order.

use super::host::Shape;

/// The slots of blocks, in front of a block that is not whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    /// Whole blocks.
    pub blocks: usize,
    pub top_k: usize,
}

impl Slots {
    /// The slot of the current block.
    pub fn current(&self) -> usize {
        self.blocks.min(self.top_k + 1)
    }

    /// The slot in which the landmark of `block` is compared.
    pub fn compared(&self, block: usize) -> usize {
        (self.current() + block).saturating_sub(self.blocks)
    }

    /// The slot in which `block` is read, where it is the `rank`-th of those that are.
    pub fn read(&self, block: usize, rank: usize) -> usize {
        let all = self.blocks <= self.top_k;
        if all || self.compared(block) == 0 { rank } else { rank + 1 }
    }

    /// How many blocks are read.
    pub fn count(&self) -> usize {
        self.blocks.min(self.top_k)
    }

    /// The position of the landmark in a slot.
    pub fn landmark(slot: usize, shape: Shape) -> usize {
        slot * shape.block + shape.block - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_blocks_stand_where_they_are() {
        for blocks in 0..=3 {
            let slots = Slots { blocks, top_k: 3 };
            assert_eq!((slots.current(), slots.count()), (blocks, blocks));
            for block in 0..blocks {
                assert_eq!((slots.compared(block), slots.read(block, block)), (block, block));
            }
        }
    }

    #[test]
    fn of_many_the_last_stand_where_they_are_and_the_others_before_them() {
        let slots = Slots { blocks: 10, top_k: 3 };
        assert_eq!((slots.current(), slots.count()), (4, 3));
        let compared: Vec<usize> = (0..10).map(|block| slots.compared(block)).collect();
        assert_eq!(compared, [0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
        let read = |chosen: [usize; 3]| {
            let ranks = chosen.iter().enumerate();
            ranks.map(|(rank, block)| slots.read(*block, rank)).collect::<Vec<_>>()
        };
        assert_eq!(read([7, 8, 9]), [1, 2, 3]);
        assert_eq!(read([1, 4, 6]), [0, 1, 2]);
        assert_eq!(read([1, 4, 9]), [0, 1, 3]);
        assert_eq!(read([2, 8, 9]), [0, 2, 3]);
    }
}
