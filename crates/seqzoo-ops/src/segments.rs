//! Resets as segments: tokens see each other only inside one segment.

use burn::tensor::{Bool, Int, Tensor};

/// The segment of each token: the number of resets up to and including it. Segment 0 continues
/// whatever came before the first token.
pub(crate) fn segment_ids(resets: Tensor<2, Bool>) -> Tensor<2, Int> {
    resets.int().cumsum(1) // [b, t]
}
