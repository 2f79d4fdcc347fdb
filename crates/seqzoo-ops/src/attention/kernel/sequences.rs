//! Which tokens see each other, and what of the cache they see.

use super::Sequence;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use std::sync::Arc;

/// The sequences of a call, and of every row the first entry, of the cache and the tokens, that is still seen after it.
pub(in super::super) struct Sequences {
    pub all: Arc<[Sequence]>,
    first_seen: Vec<usize>,
}

impl Sequences {
    pub fn new(
        [batch, time, _, _]: [usize; 4],
        length: usize,
        visible: Option<Tensor<2, Bool>>,
        resets: Option<Tensor<2, Bool>>,
    ) -> Self {
        let flags = |tensor: Tensor<2, Bool>| -> Vec<bool> { tensor.to_data().iter().collect() };
        let visible = visible.map(flags);
        let resets = resets.map(flags);
        let (mut all, mut first_seen) = (Vec::new(), Vec::new());
        for row in 0..batch {
            let visible = visible.as_ref().map(|visible| &visible[row * length..][..length]);
            let hidden = visible.map_or(0, |visible| visible.iter().take_while(|visible| !**visible).count());
            let reset = |token: &usize| resets.as_ref().is_some_and(|resets| resets[row * time + token]);
            let mut sequence = Sequence {
                row,
                start: 0,
                tokens: 0,
                cache_row: row,
                cache_start: hidden,
                cached: length - hidden,
            };
            for token in (0..time).filter(reset) {
                all.push(Sequence { tokens: token - sequence.start, ..sequence });
                sequence = Sequence { start: token, cache_start: length, cached: 0, ..sequence };
            }
            first_seen.push(match sequence.cached {
                0 => length + sequence.start,
                _ => hidden,
            });
            all.push(Sequence { tokens: time - sequence.start, ..sequence });
        }
        Self { all: all.into_iter().filter(|sequence| sequence.tokens > 0).collect(), first_seen }
    }

    /// Which of the `length` entries of the cache and the tokens are still seen, where some are not.
    pub fn visible(&self, length: usize, device: &Device) -> Option<Tensor<2, Bool>> {
        if self.first_seen.iter().all(|first| *first == 0) {
            return None;
        }
        let row = |first: &usize| {
            let first = *first;
            (0..length).map(move |key| key >= first)
        };
        let flags: Vec<bool> = self.first_seen.iter().flat_map(row).collect();
        Some(Tensor::from_data(TensorData::new(flags, [self.first_seen.len(), length]), device))
    }
}
