//! The state of landmark attention.

use super::LandmarkAttention;
use crate::ops::attention::landmark::LandmarkState;
use crate::state::StateMapper;
use crate::{Layer, MixerState};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

/// State of [`LandmarkAttention`].
#[derive(Clone, Debug)]
pub struct LandmarkAttentionState {
    /// Keys (already rotated), values and which of them are landmarks, of no tokens before the first one.
    pub cache: LandmarkState,
    /// The place of the next token in its block, `[B]`.
    pub place: Tensor<1>,
    /// How many tokens have passed.
    pub position: u64,
    pub(super) block: usize,
}

impl LandmarkAttentionState {
    /// The state before the first token: a cache of `[batch, heads, channels]`.
    pub(super) fn new(shape: [usize; 3], block: usize, dtype: DType, device: &Device) -> Self {
        let [batch, heads, channels] = shape;
        let empty = Tensor::zeros([batch, 0, heads, channels], (device, dtype));
        let cache = LandmarkState {
            keys: empty.clone().into(),
            values: empty.into(),
            landmarks: no_landmarks(batch, 0, device),
            visible: None,
        };
        Self { cache, place: Tensor::zeros([batch], (device, dtype)), position: 0, block }
    }

    /// Which of `time` more tokens are landmarks, `[B, T]`, and the places of the tokens after them, `[B]`. A block begins
    /// anew at a reset.
    pub(super) fn landmarks(
        &self,
        time: usize,
        resets: Option<&Tensor<2, Bool>>,
    ) -> (Tensor<2, Bool>, Tensor<1>) {
        let resets: Option<Vec<bool>> = resets.map(|resets| resets.to_data().iter().collect());
        let mut places: Vec<f64> = self.place.to_data().convert::<f64>().iter().collect();
        let mut flags = Vec::with_capacity(places.len() * time);
        for (row, next) in places.iter_mut().enumerate() {
            let mut place = *next as usize;
            for t in 0..time {
                if resets.as_ref().is_some_and(|resets| resets[row * time + t]) {
                    place = 0;
                }
                flags.push(place + 1 == self.block);
                place = (place + 1) % self.block;
            }
            *next = place as f64;
        }
        let (batch, device) = (places.len(), self.place.device());
        let flags = Tensor::from_data(TensorData::new(flags, [batch, time]), &device);
        let places = Tensor::from_data(TensorData::new(places, [batch]), (&device, self.place.dtype()));
        (flags, places)
    }
}

// Not declared by `state!`, as its fields must fit each other.
impl MixerState for LandmarkAttentionState {
    fn layer(&self) -> String {
        LandmarkAttention::KIND.into()
    }

    fn map_state<M: StateMapper>(self, mapper: &mut M) -> Self {
        let keys = mapper.cache("keys", self.cache.keys.tensor());
        let values = mapper.cache("values", self.cache.values.tensor());
        let landmarks = mapper.mask("landmarks", Some(self.cache.landmarks));
        let visible = mapper.mask("visible", self.cache.visible);
        let place = mapper.places("place", self.place, self.block);
        let position = mapper.number("position", self.position);
        let [batch, length, _, _] = keys.dims();
        let landmarks = landmarks.unwrap_or_else(|| no_landmarks(batch, 0, &keys.device()));
        let of_length = |mask: &Tensor<2, Bool>| mask.dims()[1] == length;
        mapper.fits(
            values.dims()[1] == length && of_length(&landmarks) && visible.as_ref().is_none_or(of_length),
            "`keys`, `values`, `landmarks` and `visible` are of different lengths",
        );
        mapper.fits(
            (length > 0) == (position > 0) && length as u64 <= position,
            "its cache does not fit its position",
        );
        let cache = LandmarkState { keys: keys.into(), values: values.into(), landmarks, visible };
        Self { cache, place, position, block: self.block }
    }
}

/// `[batch, length]` tokens of which none is a landmark.
fn no_landmarks(batch: usize, length: usize, device: &Device) -> Tensor<2, Bool> {
    Tensor::from_data(TensorData::new(vec![false; batch * length], [batch, length]), device)
}
