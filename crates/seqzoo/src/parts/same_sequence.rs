//! Which tokens of a chunk belong together, where sequences are packed.

use burn::tensor::{Bool, Tensor};

/// The tokens of a chunk that a token does not see, for operators that are the same at every token and so take a chunk by
/// one product.
#[derive(Clone)]
pub(crate) struct SameSequence {
    /// `[B, t, s]`: token `s` is of another sequence than token `t`.
    pub other: Tensor<3, Bool>,
    /// `[B, t]`: token `t` is of another sequence than the state before the chunk.
    pub later: Tensor<2, Bool>,
}

impl SameSequence {
    /// Of the `resets` of a chunk, `[B, T]`.
    pub fn of(resets: Tensor<2, Bool>) -> Self {
        let [batch, time] = resets.dims();
        let sequence = resets.int().cumsum(1);
        let shape = [batch, time, time];
        let rows = sequence.clone().unsqueeze_dim::<3>(2).expand(shape);
        let columns = sequence.clone().unsqueeze_dim::<3>(1).expand(shape);
        Self { other: rows.not_equal(columns), later: sequence.greater_elem(0) }
    }

    /// `[B, s]`: token `s` is of another sequence than the last token.
    pub fn before_last(&self) -> Tensor<2, Bool> {
        let last = self.other.dims()[1] - 1;
        self.other.clone().narrow(1, last, 1).squeeze_dim(1)
    }

    /// `[B]`: the state before the chunk is of another sequence than the last token.
    pub fn state_before_last(&self) -> Tensor<1, Bool> {
        let last = self.later.dims()[1] - 1;
        self.later.clone().narrow(1, last, 1).squeeze_dim(1)
    }
}
