//! Examples as tensors.

use super::{Coordinates, Split, Task};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

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
    pub answers: Vec<Answer>,
    /// How many tokens, the first ones, are answers, where not all are.
    pub answer_tokens: Option<usize>,
    /// Where the question of each example begins, in tasks that ask once.
    questions: Vec<Option<usize>>,
}

/// What must be said, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The example of the batch.
    pub row: usize,
    /// The position in it.
    pub position: usize,
    /// The token.
    pub token: u32,
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
        let tokens = examples.iter().flat_map(|example| &example.tokens).map(|token| i64::from(*token));
        let tokens: Vec<i64> = tokens.collect();
        let answers: Vec<Answer> = examples
            .iter()
            .enumerate()
            .flat_map(|(row, example)| {
                example.answers.iter().map(move |(position, token)| Answer {
                    row,
                    position: *position,
                    token: *token,
                })
            })
            .collect();
        let questions = examples.iter().map(|example| example.question).collect();
        let positions = answers.iter().map(|answer| (answer.row * time + answer.position) as i64).collect();
        let targets = answers.iter().map(|answer| i64::from(answer.token)).collect();
        Self {
            tokens: Tensor::from_data(TensorData::new(tokens, [examples.len(), time]), device),
            positions: line(positions, device),
            targets: line(targets, device),
            answers,
            answer_tokens: task.answer_tokens(),
            questions,
        }
    }

    /// `[B, T]`, true where the question of an example begins: as resets they clear the state there.
    pub fn question_starts(&self) -> Tensor<2, Bool> {
        let [rows, time] = self.tokens.dims();
        let mut starts = vec![false; rows * time];
        for (row, question) in self.questions.iter().enumerate() {
            if let Some(position) = question {
                starts[row * time + position] = true;
            }
        }
        Tensor::from_data(TensorData::new(starts, [rows, time]), &self.tokens.device())
    }
}

/// Integers as a tensor.
pub(crate) fn line(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
