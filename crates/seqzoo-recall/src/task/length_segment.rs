//! Segments that differ in nothing but their length.

use super::Slice;
use serde::{Deserialize, Serialize};

/// Examples of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthSegment {
    /// Tokens per example.
    pub length: usize,
    /// How many examples there are; 0 is endless, for fresh training data.
    #[serde(default)]
    pub examples: usize,
}

impl LengthSegment {
    /// The slices of `segments`, and how many examples each has.
    pub(super) fn slices(segments: &[Self]) -> Vec<(Slice, usize)> {
        segments.iter().map(|segment| (Slice::of_length(segment.length), segment.examples)).collect()
    }
}
