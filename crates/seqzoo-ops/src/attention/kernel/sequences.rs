//! Which tokens see each other, and what of the cache they see.

use super::Sequence;
use crate::segments::{Segments, sequences};
use burn::tensor::{Bool, Tensor};
use std::sync::Arc;

/// What cuts the rows of a call into sequences.
pub(in super::super) struct Sequences {
    pub batch: usize,
    pub time: usize,
    /// The entries of every cache.
    pub cached: usize,
    /// `[n, s]`, false for entries that are hidden, all of which come before those that are not.
    pub visible: Option<Tensor<2, Bool>>,
    pub resets: Option<Tensor<2, Bool>>,
    pub segments: Option<Segments>,
}

impl Sequences {
    /// All sequences that have tokens.
    pub fn all(self) -> Arc<[Sequence]> {
        let Self { batch, time, cached: length, .. } = self;
        let flags = |tensor: Tensor<2, Bool>| -> Vec<bool> { tensor.to_data().iter().collect() };
        let visible = self.visible.map(flags);
        let resets = self.resets.map(flags);
        let mut all = Vec::new();
        for (number, segment) in sequences(batch, time, self.segments.as_ref()).into_iter().enumerate() {
            let visible = visible.as_ref().map(|visible| &visible[number * length..][..length]);
            let hidden = visible.map_or(0, |visible| visible.iter().take_while(|visible| !**visible).count());
            let mut sequence = Sequence {
                row: segment.row,
                start: segment.start,
                tokens: 0,
                cache_row: number,
                cache_start: hidden,
                cached: length - hidden,
            };
            let end = segment.start + segment.length;
            for token in segment.start..end {
                if resets.as_ref().is_some_and(|resets| resets[segment.row * time + token]) {
                    all.push(Sequence { tokens: token - sequence.start, ..sequence });
                    sequence = Sequence { start: token, cache_start: length, cached: 0, ..sequence };
                }
            }
            all.push(Sequence { tokens: end - sequence.start, ..sequence });
        }
        all.into_iter().filter(|sequence| sequence.tokens > 0).collect()
    }
}
