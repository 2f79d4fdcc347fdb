//! Generation, one token at a time.

use super::language_model::{LanguageModel, ModelState};
use super::sampling::{Sampler, Sampling};
use crate::{GenerateError, MixerState};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// An endless iterator over generated tokens. It holds the model without autodiff and its state, not the
/// text: memory is constant for recurrent layers.
///
/// Made by [`LanguageModel::generate`].
pub struct Generator {
    model: LanguageModel,
    state: ModelState,
    /// Tokens that the state has not seen.
    pending: Vec<usize>,
    sampler: Sampler,
    device: Device,
}

impl Generator {
    pub(super) fn new(
        model: &LanguageModel,
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
        // Off the tape, which would grow with every token.
        let model = model.valid();
        let device = model.embedding.weight.val().device();
        let fresh = model.init_state(1, &device);
        let state = match state {
            None => fresh,
            Some(state) if state.layer() != fresh.layer() => {
                let (found, wanted) = (state.layer(), fresh.layer());
                return Err(GenerateError::State(format!(
                    "is one of `{found}`, but one of `{wanted}` is wanted"
                )));
            }
            Some(state) if state.batch() != 1 => {
                let batch = state.batch();
                return Err(GenerateError::State(format!(
                    "is of {batch} sequences, but 1 is wanted; `select` one of them"
                )));
            }
            Some(state) => state.without_autodiff(),
        };
        Ok(Self { model, state, pending: prompt.to_vec(), sampler: Sampler::new(sampling)?, device })
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

impl Iterator for Generator {
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
