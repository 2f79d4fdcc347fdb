//! Resets as numbers: tokens see each other only between two resets.

use burn::tensor::{Bool, Int, Tensor};

/// The number of resets up to and including each token. Tokens before the first reset, of number 0, continue whatever
/// came before them.
pub(crate) fn reset_counts(resets: Tensor<2, Bool>) -> Tensor<2, Int> {
    resets.int().cumsum(1) // [b, t]
}
