//! One step of the optimizer.

use super::answers::answer_loss;
use super::gradients::{clip, scaled};
use crate::experiment::Training;
use crate::task::Batch;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use seqzoo::models::LanguageModel;
use seqzoo::training::in_precision;

/// One step of AdamW on the mean cross-entropy of the supervised positions, which is what it returns, and on what layers
/// want added to it.
pub(super) fn step(
    model: LanguageModel,
    optimizer: &mut ModuleOptimizer,
    batch: &Batch,
    rate: f64,
    training: &Training,
) -> (LanguageModel, Tensor<1>) {
    let (loss, value) = match training.precision.narrow() {
        Some(dtype) => losses(&in_precision(&model, dtype), batch),
        None => losses(&model, batch),
    };
    let factor = training.precision.loss_factor();
    let loss = match factor {
        Some(factor) => loss.mul_scalar(factor),
        None => loss,
    };
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    let gradients = match factor {
        Some(factor) => scaled(&model, gradients, value.ones_like().div_scalar(factor)),
        None => gradients,
    };
    let gradients = match training.clip_norm {
        Some(max) => clip(&model, gradients, max),
        None => gradients,
    };
    (optimizer.step(rate, model, gradients), value)
}

/// What is to become small, and the part of it that the task has.
fn losses(model: &LanguageModel, batch: &Batch) -> (Tensor<1>, Tensor<1>) {
    let (hidden, state) = model.hidden(batch.tokens.clone(), None, None);
    let [rows, time, channels] = hidden.dims();
    // The head is most of a small model's work, and most positions are filler.
    let asked = hidden.reshape([rows * time, channels]).select(0, batch.positions.clone());
    let loss = answer_loss(model, asked, batch.targets.clone(), batch.answer_tokens);
    let value = loss.clone().inner();
    // What layers ask for beside the task: a router's balance.
    let loss = match model.auxiliary_loss(&state) {
        Some(more) => loss + more,
        None => loss,
    };
    (loss, value)
}
