//! Landmark attention through the fused kernel of softmax attention.

use super::layout::Layout;
use super::{LandmarkState, Problem};
use crate::attention::kernel::{Question, Sequence, Sequences, Settings};
use burn::tensor::{Bool, Tensor};

pub(super) fn run(problem: Problem) -> (Tensor<4>, LandmarkState) {
    let layout = Layout::new(&problem);
    let Problem { query, key, value, landmarks, cache, scale, resets } = problem;
    let [batch, time, _, _] = query.dims();
    let length = cache.as_ref().map_or(0, LandmarkState::length);
    let visible = cache.as_ref().and_then(|cache| cache.visible.clone());
    let sequences = Sequences { batch, time, cached: length, visible, resets, segments: None }.all();
    let places = Places {
        own: flags(&landmarks),
        cached: cache.as_ref().map(|cache| flags(&cache.landmarks)).unwrap_or_default(),
        time,
        length,
    };
    let question = Question {
        query,
        own: Some([key.clone(), value.clone()]),
        cache: cache.as_ref().map(|cache| [cache.keys.tensor(), cache.values.tensor()]),
        log_decays: None,
        settings: Settings {
            scale,
            bidirectional: false,
            window: None,
            landmarks: Some(sequences.iter().map(|sequence| places.of(sequence)).collect()),
            sequences,
        },
    };
    let visible = layout.visible(&key.device());
    let (output, _) = question.answer();
    (output, LandmarkState::after(cache, key, value, landmarks, visible))
}

fn flags(landmarks: &Tensor<2, Bool>) -> Vec<bool> {
    landmarks.to_data().iter().collect()
}

/// Where landmarks are.
struct Places {
    own: Vec<bool>,    // [b, t]
    cached: Vec<bool>, // [b, s]
    time: usize,
    length: usize,
}

impl Places {
    /// Which keys of a sequence are landmarks.
    fn of(&self, sequence: &Sequence) -> Vec<usize> {
        let cached =
            &self.cached[sequence.cache_row * self.length + sequence.cache_start..][..sequence.cached];
        let own = &self.own[sequence.row * self.time + sequence.start..][..sequence.tokens];
        let keys = cached.iter().chain(own).enumerate();
        keys.filter_map(|(key, landmark)| landmark.then_some(key)).collect()
    }
}
