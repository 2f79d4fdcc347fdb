//! How sequences are cut into blocks.

use crate::matrix_memory::kernel::cpu::chunks::{Chunk, Place};

/// The most tokens that are worked on at once.
pub(crate) const BLOCK: usize = 64;

/// Tokens of one chunk that are worked on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub tokens: Chunk,
    /// Whether a chunk begins with the first token.
    pub begins: bool,
    /// The block with which its chunk begins; none where that was before the call.
    pub origin: Option<usize>,
}

/// The blocks of a sequence.
#[derive(Debug)]
struct Row {
    blocks: Vec<Block>,
    /// The blocks of all sequences before it.
    before: usize,
    /// Whether a chunk begins after the last token.
    complete: bool,
}

/// The blocks of every sequence of a batch.
#[derive(Debug)]
pub(super) struct Plan {
    heads: usize,
    time: usize,
    rows: Vec<Row>,
}

impl Plan {
    /// Of sequences of `time` tokens that begin at `places` of chunks of `chunk` tokens; `resets` has a number other than
    /// 0 where memories are reset.
    pub fn new<E: PartialEq + Default>(
        [heads, time]: [usize; 2],
        chunk: usize,
        places: &[usize],
        resets: Option<&[E]>,
    ) -> Self {
        let mut before = 0;
        let rows = places.iter().enumerate().map(|(row, place)| {
            let resets = resets.map(|resets| &resets[row * time..][..time]);
            let (blocks, next) = blocks(time, chunk, *place, resets);
            let row = Row { before, complete: next == 0, blocks };
            before += row.blocks.len();
            row
        });
        Self { heads, time, rows: rows.collect() }
    }

    fn row(&self, head: usize) -> &Row {
        &self.rows[head / self.heads]
    }

    /// Heads of all sequences.
    pub fn all_heads(&self) -> usize {
        self.heads * self.rows.len()
    }

    /// The blocks of head number `head` of the batch.
    pub fn blocks(&self, head: usize) -> &[Block] {
        &self.row(head).blocks
    }

    /// Whether a chunk begins after the last token.
    pub fn is_complete(&self, head: usize) -> bool {
        self.row(head).complete
    }

    /// Where the tokens of a block stand.
    pub fn place(&self, head: usize, block: usize) -> Place {
        let chunk = self.blocks(head)[block].tokens;
        Place { batch: head / self.heads, head: head % self.heads, chunk }
    }

    /// The number of a block among those of all heads.
    pub fn slot(&self, head: usize, block: usize) -> usize {
        let row = self.row(head);
        row.before * self.heads + (head % self.heads) * row.blocks.len() + block
    }

    /// The number of the first token of a block among those of all heads.
    pub fn token(&self, head: usize, block: usize) -> usize {
        head * self.time + self.blocks(head)[block].tokens.start
    }

    /// The blocks of all heads.
    pub fn all_blocks(&self) -> usize {
        self.heads * self.rows.last().map_or(0, |row| row.before + row.blocks.len())
    }

    /// The tokens of the longest block.
    pub fn longest(&self) -> usize {
        let blocks = self.rows.iter().flat_map(|row| &row.blocks);
        blocks.map(|block| block.tokens.length).max().unwrap_or(1)
    }
}

/// The blocks of one sequence, and the place of the token after the last.
fn blocks<E: PartialEq + Default>(
    time: usize,
    chunk: usize,
    mut place: usize,
    resets: Option<&[E]>,
) -> (Vec<Block>, usize) {
    let reset = |token: usize| resets.is_some_and(|resets| resets[token] != E::default());
    let (mut blocks, mut origin) = (Vec::new(), None);
    let mut start = 0;
    while start < time {
        let clears = reset(start);
        place = if clears { 0 } else { place };
        let most = BLOCK.min(chunk - place).min(time - start);
        let length = (1..most).find(|offset| reset(start + offset)).unwrap_or(most);
        let slot = blocks.len();
        origin = if place == 0 { Some(slot) } else { origin };
        let tokens = Chunk { start, length, clears, slot };
        blocks.push(Block { tokens, begins: place == 0, origin });
        (place, start) = ((place + length) % chunk, start + length);
    }
    (blocks, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(time: usize, chunk: usize, place: usize, resets: &[usize]) -> (Vec<(usize, usize, bool)>, usize) {
        let mut flags = vec![0.0f32; time];
        resets.iter().for_each(|token| flags[*token] = 1.0);
        let (blocks, next) = blocks(time, chunk, place, Some(&flags));
        let short = blocks.iter().map(|each| (each.tokens.start, each.tokens.length, each.begins));
        (short.collect(), next)
    }

    #[test]
    fn no_block_crosses_the_edge_of_a_chunk() {
        assert_eq!(cut(9, 4, 3, &[]), (vec![(0, 1, false), (1, 4, true), (5, 4, true)], 0));
        assert_eq!(cut(5, 100, 98, &[]), (vec![(0, 2, false), (2, 3, true)], 3));
        let long = vec![(0, BLOCK, true), (BLOCK, 36, false), (100, 10, true)];
        assert_eq!(cut(110, 100, 0, &[]), (long, 10));
    }

    #[test]
    fn a_reset_begins_a_chunk() {
        assert_eq!(cut(6, 4, 1, &[2, 3]), (vec![(0, 2, false), (2, 1, true), (3, 3, true)], 3));
        assert_eq!(cut(3, 4, 2, &[0]), (vec![(0, 3, true)], 3));
    }
}
