//! The logits that compete for an answer.

use burn::tensor::Tensor;
use seqzoo::models::LanguageModel;

/// Channels `[N, D]` to the logits of the first `answers` tokens, or of all.
pub(super) fn answer_logits(model: &LanguageModel, hidden: Tensor<2>, answers: Option<usize>) -> Tensor<2> {
    let logits = model.logits(hidden);
    match answers {
        Some(count) => logits.narrow(1, 0, count),
        None => logits,
    }
}
