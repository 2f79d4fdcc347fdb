//! A conversation in a file: the state of the model, and beside it, in the same file, what else it needs to go on to the
//! token.

use crate::fingerprint::fingerprint;
use burn::tensor::{Bool, Tensor};
use seqzoo::MixerState;
use seqzoo::models::{LanguageModel, Parked, Sampler, Sampling};
use seqzoo::state::{StateMapper, StatePart};
use seqzoo_examples::text::TextStream;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What lies beside the state.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// The fingerprint of the model.
    model: String,
    pending: Vec<usize>,
    sampler: Sampler,
    text: TextStream,
}

/// Larger numbers in a state leave no room to count on; a text of so many tokens is not read in a lifetime.
const MAX_POSITION: u64 = 1 << 52;

/// A conversation in which nothing has been said.
pub fn begin(model: &LanguageModel) -> (Parked, TextStream) {
    let state = model.init_state(1, &model.embedding.weight.val().device());
    let sampler = Sampler::new(Sampling::Greedy).expect("there is nothing to be wrong with");
    (Parked { state, pending: Vec::new(), sampler }, TextStream::default())
}

/// Writes a conversation with `model`; the file is whole or what it was.
pub fn save(model: &LanguageModel, parked: Parked, text: TextStream, path: &Path) -> Result<(), String> {
    let Parked { state, pending, sampler } = parked;
    let note = Note { model: fingerprint(model), pending, sampler, text };
    let note = serde_json::to_string(&note).expect("a note is JSON");
    state.save_with_note(path, &note).map_err(|error| error.to_string())
}

/// Reads a conversation with `model`.
pub fn load(model: &LanguageModel, path: &Path) -> Result<(Parked, TextStream), String> {
    let device = model.embedding.weight.val().device();
    let loaded = model.init_state(1, &device).load_with_note(path, &device);
    let (state, note) = loaded.map_err(|error| error.to_string())?;
    let refuse = |problem: &str| Err(format!("{} {problem}", path.display()));
    let Some(note) = note else {
        return refuse("holds a state alone, but the conversation that `--save-state` writes is wanted");
    };
    let Note { model: other, pending, sampler, text } = match serde_json::from_str(&note) {
        Ok(note) => note,
        Err(error) => return refuse(&format!("does not hold a conversation beside its state: {error}")),
    };
    if other != fingerprint(model) {
        return refuse("is a conversation with another model: its weights are not those of this one");
    }
    if pending.is_empty() {
        return refuse("does not say which token comes next");
    }
    let mut largest = Largest(0);
    let state = state.map_state(&mut largest);
    match largest.0 <= MAX_POSITION {
        true => Ok((Parked { state, pending, sampler }, text)),
        false => refuse(&format!("has the position {}, beyond which nothing is counted", largest.0)),
    }
}

/// The largest number of a state.
struct Largest(u64);

impl StateMapper for Largest {
    fn tensor<const D: usize>(&mut self, _: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        tensor
    }

    fn mask(&mut self, _: &str, mask: Option<Tensor<2, Bool>>) -> Option<Tensor<2, Bool>> {
        mask
    }

    fn number(&mut self, _: &str, number: u64) -> u64 {
        self.0 = self.0.max(number);
        number
    }
}
