//! The state of softmax attention.

use super::SoftmaxAttention;
use crate::ops::attention::AttentionState;
use crate::parts::map_cache_and_position;
use crate::state::StateMapper;
use crate::{Layer, MixerState};

/// State of [`SoftmaxAttention`].
#[derive(Clone, Debug)]
pub struct SoftmaxAttentionState {
    /// Keys (already normed and rotated) and values, and log decays where the layer has them, of no tokens before the first
    /// one.
    pub cache: AttentionState,
    /// How many tokens have passed.
    pub position: u64,
}

// Not declared by `state!`, as its fields must fit each other.
impl MixerState for SoftmaxAttentionState {
    fn layer(&self) -> String {
        SoftmaxAttention::KIND.into()
    }

    fn map_state<M: StateMapper>(self, mapper: &mut M) -> Self {
        let (cache, position) = map_cache_and_position(self.cache, self.position, mapper);
        Self { cache, position }
    }
}
