//! A trained model reading test examples: what it says where it is asked.

use super::answers::answer_logits;
use crate::task::{Answer, Batch, line};
use burn::tensor::{Bool, Tensor};
use seqzoo::MixerState;
use seqzoo::models::{LanguageModel, ModelState};

/// What a model said, and its state afterwards.
pub(super) struct Reading {
    /// The most likely token at every answer's place, in the order of the batch's answers.
    pub said: Vec<i64>,
    /// The state after the last token.
    pub state: ModelState,
}

/// Reads a batch in segments of at most `segment` tokens, the state carried from one to the next: memory does not grow
/// with the length, but for caches. `resets` clear the state.
pub(super) fn read(
    model: &LanguageModel,
    batch: &Batch,
    resets: Option<&Tensor<2, Bool>>,
    segment: usize,
) -> Reading {
    let [_, time] = batch.tokens.dims();
    let mut said = vec![0; batch.answers.len()];
    let mut state = None;
    for start in (0..time).step_by(segment) {
        let length = segment.min(time - start);
        let tokens = batch.tokens.clone().narrow(1, start, length);
        let resets = resets.map(|resets| resets.clone().narrow(1, start, length));
        let (hidden, after) = model.hidden(tokens, resets, state);
        state = Some(after);

        let here = |answer: &Answer| (start..start + length).contains(&answer.position);
        let asked: Vec<usize> =
            (0..batch.answers.len()).filter(|index| here(&batch.answers[*index])).collect();
        if asked.is_empty() {
            continue;
        }
        let place = |index: &usize| {
            let Answer { row, position, .. } = batch.answers[*index];
            (row * length + position - start) as i64
        };
        let places = line(asked.iter().map(place).collect(), &hidden.device());
        let [rows, _, channels] = hidden.dims();
        let hidden = hidden.reshape([rows * length, channels]).select(0, places);
        let logits = answer_logits(model, hidden, batch.answer_tokens);
        let tokens = logits.argmax(1).into_data().convert::<i64>();
        let tokens: Vec<i64> = tokens.try_to_vec().expect("token numbers are integers");
        for (index, token) in asked.into_iter().zip(tokens) {
            said[index] = token;
        }
    }
    Reading { said, state: state.expect("an example has a token") }
}

impl Reading {
    /// Bytes of the state of one of `batch` sequences.
    pub fn state_bytes(&self, batch: usize) -> usize {
        self.state.bytes().total() / batch
    }
}
