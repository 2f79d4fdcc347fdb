//! Examples as tensors.

use super::{Coordinates, Split, Task};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Equally long examples, and their supervised positions.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[B, T]`.
    pub tokens: Tensor<2, Int>,
    /// The supervised positions in the flattened `[B·T]` input.
    pub positions: Tensor<1, Int>,
    /// The token wanted at each of them.
    pub targets: Tensor<1, Int>,
    /// The same, on the host.
    pub answers: Vec<u32>,
}

impl Batch {
    /// The examples `indices` of a segment.
    pub fn new(
        task: &Task,
        seed: u64,
        split: Split,
        segment: usize,
        indices: impl Iterator<Item = u64>,
        device: &Device,
    ) -> Self {
        let examples: Vec<_> = indices
            .map(|index| task.example(Coordinates { seed, split, segment: segment as u64, index }))
            .collect();
        let time = examples[0].tokens.len();
        let mut tokens = Vec::with_capacity(examples.len() * time);
        let (mut positions, mut answers) = (Vec::new(), Vec::new());
        for (row, example) in examples.iter().enumerate() {
            tokens.extend(example.tokens.iter().map(|token| i64::from(*token)));
            for (position, token) in &example.answers {
                positions.push((row * time + position) as i64);
                answers.push(*token);
            }
        }
        let targets: Vec<i64> = answers.iter().map(|token| i64::from(*token)).collect();
        let line = |values: Vec<i64>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), device)
        };
        Self {
            tokens: Tensor::from_data(TensorData::new(tokens, [examples.len(), time]), device),
            positions: line(positions),
            targets: line(targets),
            answers,
        }
    }
}
