//! Generation, one token at a time.

use super::language_model::{LanguageModel, ModelState};
use super::sampling::{Sampler, Sampling};
use crate::{AnyState, GenerateError, Mixer, MixerState, SequenceMixer};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::iter::FusedIterator;

impl<M: SequenceMixer> LanguageModel<M> {
    /// Continues `prompt` one token at a time, through the recurrent states, without end: take as
    /// many as you want, or stop at a token of your choice.
    ///
    /// # Errors
    ///
    /// If the prompt is empty or holds an unknown token, or a sampling option is out of range.
    pub fn generate(&self, prompt: &[usize], sampling: Sampling) -> Result<Generator<M>, GenerateError> {
        Generator::new(self, prompt, None, Sampler::new(sampling)?)
    }

    /// [`generate`](Self::generate), continuing from `state`: `prompt` are the tokens that the state
    /// has not seen.
    ///
    /// # Errors
    ///
    /// As [`generate`](Self::generate), and if the state is of another model or of several sequences.
    pub fn generate_from(
        &self,
        state: ModelState<M::State>,
        prompt: &[usize],
        sampling: Sampling,
    ) -> Result<Generator<M>, GenerateError> {
        self.resume(Parked { state, pending: prompt.to_vec(), sampler: Sampler::new(sampling)? })
    }

    /// Goes on with a generation that was [parked](Generator::park), as if it had never stopped.
    ///
    /// # Errors
    ///
    /// If no token is pending or one is unknown, or the state is of another model or of several sequences.
    pub fn resume(&self, parked: Parked<M::State>) -> Result<Generator<M>, GenerateError> {
        Generator::new(self, &parked.pending, Some(parked.state), parked.sampler)
    }
}

/// A generation at rest: all that it needs to go on but the model.
///
/// The other two are written with serde, and [go into the file](MixerState::save_with_note) of the state.
#[derive(Clone, Debug)]
pub struct Parked<S = AnyState> {
    /// The state after everything but the pending tokens.
    pub state: ModelState<S>,
    /// The tokens that the state has not seen.
    pub pending: Vec<usize>,
    /// The sampler, with its place in its stream of random numbers.
    pub sampler: Sampler,
}

/// An iterator over generated tokens. It holds the model without autodiff and its state, not the
/// text: memory is constant for recurrent layers.
///
/// It ends only where no token can be drawn, and [`error`](Self::error) then says why.
///
/// Made by [`LanguageModel::generate`].
pub struct Generator<M: SequenceMixer = Mixer> {
    model: LanguageModel<M>,
    state: ModelState<M::State>,
    /// Tokens that the state has not seen.
    pending: Vec<usize>,
    sampler: Sampler,
    error: Option<GenerateError>,
    device: Device,
}

impl<M: SequenceMixer> Generator<M> {
    fn new(
        model: &LanguageModel<M>,
        prompt: &[usize],
        state: Option<ModelState<M::State>>,
        sampler: Sampler,
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
            Some(state) => {
                check(&state, &fresh)?;
                state.without_autodiff()
            }
        };
        Ok(Self { model, state, pending: prompt.to_vec(), sampler, error: None, device })
    }

    /// The state after everything but the [pending](Self::pending) tokens.
    pub fn state(&self) -> &ModelState<M::State> {
        &self.state
    }

    /// The tokens that the state has not seen: the prompt initially, then the last token.
    pub fn pending(&self) -> &[usize] {
        &self.pending
    }

    /// The sampler, with its place in its stream of random numbers.
    pub fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Why the iterator has ended, if it has.
    pub fn error(&self) -> Option<&GenerateError> {
        self.error.as_ref()
    }

    /// Puts the generation to rest; [`LanguageModel::resume`] goes on with it.
    pub fn park(self) -> Parked<M::State> {
        Parked { state: self.state, pending: self.pending, sampler: self.sampler }
    }

    /// The next token: what [`next`](Iterator::next) gives, with the reason where there is none.
    ///
    /// # Errors
    ///
    /// [`GenerateError::NoToken`] if no token can be drawn. The generation has then ended: its state has seen all tokens,
    /// and none is pending.
    pub fn try_next(&mut self) -> Result<usize, GenerateError> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None => self.draw().inspect_err(|error| self.error = Some(error.clone())),
        }
    }

    fn draw(&mut self) -> Result<usize, GenerateError> {
        let tokens: Vec<i64> = self.pending.iter().map(|token| *token as i64).collect();
        let time = tokens.len();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [1, time]), &self.device);
        // Given away and not copied: a cache that nobody else holds grows in place.
        let layers = std::mem::take(&mut self.state.layers);
        let given = ModelState { layers, position: self.state.position, routing: Vec::new() };
        let (hidden, state) = self.model.hidden(tokens, None, Some(given));
        self.state = state;
        let logits = self.model.logits(hidden.narrow(1, time - 1, 1));
        let logits = logits.into_data().convert::<f32>().try_to_vec().expect("logits are floats");
        let token = self.sampler.try_next(&logits).inspect_err(|_| self.pending.clear())?;
        self.pending = vec![token];
        Ok(token)
    }
}

impl<M: SequenceMixer> Iterator for Generator<M> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.try_next().ok()
    }
}

impl<M: SequenceMixer> FusedIterator for Generator<M> {}

/// An error unless `state` can stand where `fresh` does and is of one sequence.
fn check<S: MixerState>(state: &ModelState<S>, fresh: &ModelState<S>) -> Result<(), GenerateError> {
    if let Some(problem) = state.misfit(fresh) {
        return Err(GenerateError::State(problem));
    }
    match state.batch() {
        1 => Ok(()),
        batch => {
            let problem = format!("is of {batch} sequences, but 1 is wanted; `select` one of them");
            Err(GenerateError::State(problem))
        }
    }
}
