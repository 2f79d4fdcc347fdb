//! Which blocks are read.

use burn::config::Config;
use burn::tensor::{Tensor, activation::softmax};

/// Who chooses the blocks that are read.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum LandmarkChoice {
    /// Every query head for every token.
    PerHeadAndToken,
    /// Every query head for all tokens of a block that come in one call: those whose landmarks weigh most for any of them.
    /// What is read depends on how the tokens arrive.
    PerHead,
    /// Every token for all heads: those whose landmarks weigh most for any of them.
    OverHeads,
}

/// The blocks that were chosen, in the order of the sequence, `[b, h', c', k]`: `h'` is 1 where all heads read the same, and
/// `c'` where all tokens do.
pub(super) struct Chosen {
    pub heads: usize,
    pub tokens: usize,
    pub count: usize,
    blocks: Vec<usize>,
}

impl Chosen {
    /// `count` of the blocks by the scores of their landmarks, `[b, h, c, n]`.
    pub fn new(scores: Tensor<4>, choice: LandmarkChoice, count: usize) -> Self {
        let weights = softmax(scores, 3);
        let weights = match choice {
            LandmarkChoice::PerHeadAndToken => weights,
            LandmarkChoice::PerHead => weights.max_dim(2),
            LandmarkChoice::OverHeads => weights.max_dim(1),
        };
        let [_, heads, tokens, blocks] = weights.dims();
        let numbers: Vec<f64> = weights.into_data().convert::<f64>().iter().collect();
        let rows = numbers.chunks_exact(blocks);
        Self { heads, tokens, count, blocks: rows.flat_map(|row| largest(row, count)).collect() }
    }

    /// Those of one sequence, head and token.
    pub fn of(&self, sequence: usize, head: usize, token: usize) -> &[usize] {
        let (head, token) = (head.min(self.heads - 1), token.min(self.tokens - 1));
        let row = (sequence * self.heads + head) * self.tokens + token;
        &self.blocks[row * self.count..(row + 1) * self.count]
    }
}

/// The places of the `count` largest numbers, in order; of equal ones the later.
fn largest(row: &[f64], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..row.len()).collect();
    if count < row.len() {
        places.select_nth_unstable_by(count, |a, b| row[*b].total_cmp(&row[*a]).then(b.cmp(a)));
        places.truncate(count);
    }
    places.sort_unstable();
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_largest_are_chosen_and_of_equals_the_later() {
        assert_eq!(largest(&[0.1, 0.4, 0.2, 0.3], 2), [1, 3]);
        assert_eq!(largest(&[0.25; 4], 2), [2, 3]);
        assert_eq!(largest(&[0.5, 0.5], 2), [0, 1]);
    }

    #[test]
    fn heads_and_tokens_choose_alone_or_together() {
        // Two heads, two tokens, three blocks.
        let scores = [[[[3.0, 1.0, 0.0], [0.0, 2.0, 1.0]], [[0.0, 0.0, 9.0], [0.0, 1.0, 0.0]]]];
        let scores = Tensor::<4>::from_data(scores, &Device::flex());
        let of = |choice| Chosen::new(scores.clone(), choice, 1);
        let chosen = of(LandmarkChoice::PerHeadAndToken);
        assert_eq!(
            [chosen.of(0, 0, 0), chosen.of(0, 0, 1), chosen.of(0, 1, 0), chosen.of(0, 1, 1)],
            [[0], [1], [2], [1]]
        );
        let chosen = of(LandmarkChoice::PerHead);
        assert_eq!([chosen.of(0, 0, 0), chosen.of(0, 0, 1), chosen.of(0, 1, 1)], [[0], [0], [2]]);
        let chosen = of(LandmarkChoice::OverHeads);
        assert_eq!([chosen.of(0, 0, 0), chosen.of(0, 1, 0), chosen.of(0, 1, 1)], [[2], [2], [1]]);
    }
}
