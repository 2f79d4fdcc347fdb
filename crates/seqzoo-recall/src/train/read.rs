//! A trained model reading test examples: what it says where it is asked.

use super::answers::answer_logits;
use crate::task::{Answer, Batch, line};
use burn::tensor::{Bool, Int, Tensor};
use seqzoo::MixerState;
use seqzoo::layers::{BlockCounts, LandmarkStore, RetrievalConfig};
use seqzoo::models::{LanguageModel, ModelRetrieval, ModelState};

/// What a model said, and its state afterwards.
pub(super) struct Reading {
    /// The most likely token at every answer's place, in the order of the batch's answers.
    pub said: Vec<i64>,
    /// What it knew after the last token.
    memory: Memory,
}

/// What a model knows of the tokens that it has read.
enum Memory {
    State(Option<ModelState>),
    Blocks(ModelRetrieval),
}

impl Memory {
    /// The hidden channels of more tokens.
    fn read(
        &mut self,
        model: &LanguageModel,
        tokens: Tensor<2, Int>,
        resets: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        match self {
            Self::State(state) => {
                let (hidden, after) = model.hidden(tokens, resets, state.take());
                *state = Some(after);
                hidden
            }
            Self::Blocks(memory) => model.retrieve(tokens, memory).expect("blocks go into memory"),
        }
    }
}

/// Reads a batch in segments of at most `segment` tokens, the state carried from one to the next: memory does not grow
/// with the length, but for caches. `resets` clear the state. With `retrieval`, layers of landmark attention read only the
/// blocks that they choose.
pub(super) fn read(
    model: &LanguageModel,
    batch: &Batch,
    resets: Option<&Tensor<2, Bool>>,
    segment: usize,
    retrieval: Option<&RetrievalConfig>,
) -> Reading {
    let [rows, time] = batch.tokens.dims();
    let mut said = vec![0; batch.answers.len()];
    let blocks = |config| model.init_retrieval(config, rows, &batch.tokens.device());
    let mut memory = match retrieval {
        None => Memory::State(None),
        Some(config) => Memory::Blocks(blocks(config).expect("an experiment is checked before it runs")),
    };
    for start in (0..time).step_by(segment) {
        let length = segment.min(time - start);
        let tokens = batch.tokens.clone().narrow(1, start, length);
        let resets = resets.map(|resets| resets.clone().narrow(1, start, length));
        let hidden = memory.read(model, tokens, resets);

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
    Reading { said, memory }
}

impl Reading {
    /// The state after the last token, if the model read by it.
    pub fn state(self) -> Option<ModelState> {
        match self.memory {
            Memory::State(state) => state,
            Memory::Blocks(_) => None,
        }
    }

    /// How many blocks were read, if the model chose them.
    pub fn blocks(&self) -> Option<BlockCounts> {
        match &self.memory {
            Memory::State(_) => None,
            Memory::Blocks(memory) => Some(memory.counts()),
        }
    }

    /// Bytes of the state of one of `batch` sequences; where blocks were chosen, of what is on the device.
    pub fn state_bytes(&self, batch: usize) -> usize {
        let bytes = match &self.memory {
            Memory::State(state) => state.as_ref().map_or(0, |state| state.bytes().total()),
            Memory::Blocks(memory) => memory.stores().map(LandmarkStore::device_bytes).sum(),
        };
        bytes / batch
    }
}
