//! Landmarks between the tokens of a model.

use burn::tensor::{Int, Tensor};

/// Tokens with a landmark after every `every`-th of a sequence.
pub(super) struct Landmarks {
    /// Of tokens and landmarks, in order: the token, or `None` for a landmark.
    order: Vec<Option<usize>>,
    time: usize,
}

impl Landmarks {
    /// Among `time` tokens that come after `position` others; `None` where no landmark stands among them.
    pub fn among(time: usize, every: usize, position: u64) -> Option<Self> {
        let mut place = (position % every as u64) as usize;
        let mut order = Vec::with_capacity(time + time / every + 1);
        for token in 0..time {
            order.push(Some(token));
            place += 1;
            if place == every {
                order.push(None);
                place = 0;
            }
        }
        (order.len() > time).then_some(Self { order, time })
    }

    /// Tokens `[B, T, D]` with `landmark`, `[D]`, in its places.
    pub fn insert(&self, tokens: Tensor<3>, landmark: Tensor<1>) -> Tensor<3> {
        let ([batch, _, channels], device) = (tokens.dims(), tokens.device());
        let landmark = landmark.reshape([1, 1, channels]).expand([batch, 1, channels]);
        let order: Vec<i64> = self.order.iter().map(|token| token.unwrap_or(self.time) as i64).collect();
        let order = Tensor::<1, Int>::from_data(order.as_slice(), &device);
        Tensor::cat(vec![tokens, landmark], 1).select(1, order)
    }

    /// The tokens without the landmarks.
    pub fn remove(&self, hidden: Tensor<3>) -> Tensor<3> {
        let places = self.order.iter().enumerate().filter(|(_, token)| token.is_some());
        let places: Vec<i64> = places.map(|(place, _)| place as i64).collect();
        let places = Tensor::<1, Int>::from_data(places.as_slice(), &hidden.device());
        hidden.select(1, places)
    }
}
