//! Tokens sorted by the memories that they go to.

use crate::ops::Segments;
use crate::parts::{Dispatch, Routing};
use burn::tensor::{Bool, Device, Tensor, TensorData};

/// The tokens of a batch by memory: those that went to it, row by row and in the order of time.
pub(super) struct Packing {
    /// The tokens in that order.
    pub dispatch: Dispatch,
    /// For each of the memories that some token went to and every row, the tokens.
    lengths: Vec<usize>,
    rows: usize,
    resets: Option<Resets>,
}

/// What resets mean to memories that do not see all tokens: one is reset before the first of its tokens that comes after.
struct Resets {
    /// Whether the memory is reset before a token, in the order of the packing.
    before: Vec<bool>,
    /// Whether it is reset after the last one of its tokens: `[memory][row]`, of all memories.
    after: Vec<Vec<bool>>,
}

impl Packing {
    /// Of `rows` rows, in which `resets` has true where all memories are reset before a token.
    pub fn new(routing: &Routing, resets: Option<&Tensor<2, Bool>>) -> Self {
        let ([rows, time, _], top_k) = (routing.probabilities.dims(), routing.top_k());
        let tokens = routing.by_destination();
        let dispatch = Dispatch::new(&tokens, top_k);
        let mut lengths = vec![0; dispatch.touched.len() * rows];
        for (place, memory) in dispatch.touched.iter().enumerate() {
            tokens[*memory].iter().for_each(|index| lengths[place * rows + index / top_k / time] += 1);
        }
        let resets = resets.map(|resets| Resets::new(resets, [rows, time], &tokens, top_k));
        Self { dispatch, lengths, rows, resets }
    }

    /// The memories of the packing and their rows, in one row; behind them `shared` tokens of each row, if any.
    pub fn segments(&self, shared: Option<usize>) -> Segments {
        let shared = std::iter::repeat_n(shared, self.rows).flatten();
        Segments::in_one_row(self.lengths.iter().copied().chain(shared).collect::<Vec<_>>())
    }

    /// The resets of the packing, `[1, n]`; behind them `shared`, `[B, T]`, if it is there.
    pub fn resets(&self, shared: Option<&Tensor<2, Bool>>, device: &Device) -> Option<Tensor<2, Bool>> {
        let before = &self.resets.as_ref()?.before;
        let data = TensorData::new(before.clone(), [1, before.len()]);
        let own = Tensor::from_data(data, device);
        Some(match shared {
            Some(shared) => {
                let tokens = shared.dims().iter().product();
                Tensor::cat(vec![own, shared.clone().reshape([1, tokens])], 1)
            }
            None => own,
        })
    }

    /// The rows of `memory` that are reset after its last token, `[B]`, if there are any.
    pub fn reset_after(&self, memory: usize) -> Option<&[bool]> {
        let after = &self.resets.as_ref()?.after[memory];
        after.contains(&true).then_some(after)
    }
}

impl Resets {
    fn new(resets: &Tensor<2, Bool>, [rows, time]: [usize; 2], tokens: &[Vec<usize>], top_k: usize) -> Self {
        let flags: Vec<bool> = resets.to_data().iter::<bool>().collect();
        // How many resets there were in the row, up to a token and including one before it.
        let counts: Vec<usize> = flags
            .chunks_exact(time)
            .flat_map(|row| {
                row.iter().scan(0, |count, reset| {
                    *count += usize::from(*reset);
                    Some(*count)
                })
            })
            .collect();
        let mut before = Vec::new();
        let after = tokens.iter().map(|indices| {
            let mut seen = vec![0; rows];
            for index in indices {
                let token = index / top_k;
                let seen = &mut seen[token / time];
                before.push(counts[token] > *seen);
                *seen = counts[token];
            }
            seen.iter().enumerate().map(|(row, seen)| counts[(row + 1) * time - 1] > *seen).collect()
        });
        let after = after.collect();
        Self { before, after }
    }
}
