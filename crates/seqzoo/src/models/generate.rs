//! Generation, one token at a time.

use super::language_model::{LanguageModel, ModelState};
use super::sampling::{Sampler, Sampling};
use crate::GenerateError;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// An endless iterator over generated tokens. It holds the model's state, not the text: memory is
/// constant for recurrent layers.
///
/// Made by [`LanguageModel::generate`].
pub struct Generator<'a> {
    model: &'a LanguageModel,
    state: ModelState,
    /// Tokens that the state has not seen.
    pending: Vec<usize>,
    sampler: Sampler,
    device: Device,
}

impl<'a> Generator<'a> {
    pub(super) fn new(
        model: &'a LanguageModel,
        prompt: &[usize],
        state: Option<ModelState>,
        sampling: Sampling,
    ) -> Result<Self, GenerateError> {
        let vocabulary = model.config().vocab_size;
        if prompt.is_empty() {
            return Err(GenerateError::EmptyPrompt);
        }
        if let Some(token) = prompt.iter().copied().find(|token| *token >= vocabulary) {
            return Err(GenerateError::UnknownToken { token, vocabulary });
        }
        let device = model.embedding.weight.val().device();
        Ok(Self {
            model,
            state: state.unwrap_or_else(|| model.init_state(1, &device)),
            pending: prompt.to_vec(),
            sampler: Sampler::new(sampling)?,
            device,
        })
    }

    /// The state after everything but the [pending](Self::pending) tokens.
    pub fn state(&self) -> &ModelState {
        &self.state
    }

    /// The tokens that the state has not seen: the prompt at first, then the last token.
    pub fn pending(&self) -> &[usize] {
        &self.pending
    }
}

impl Iterator for Generator<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let tokens: Vec<i64> = self.pending.iter().map(|token| *token as i64).collect();
        let time = tokens.len();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [1, time]), &self.device);
        let (hidden, state) = self.model.hidden(tokens, None, Some(self.state.clone()));
        let logits = self.model.logits(hidden.narrow(1, time - 1, 1));
        let logits = logits.into_data().convert::<f32>().try_to_vec().expect("logits are floats");
        let token = self.sampler.next(&logits);
        self.state = state;
        self.pending = vec![token];
        Some(token)
    }
}
