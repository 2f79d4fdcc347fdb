//! The last entries of a sequence, as a state keeps them.

use burn::tensor::{Int, Tensor};

/// The last `kept` entries along axis 1. Where there are far fewer of them than entries they are
/// copied: a view would keep the whole sequence in memory for as long as the state lives.
pub(crate) fn tail<const D: usize>(sequence: Tensor<D>, kept: usize) -> Tensor<D> {
    let length = sequence.dims()[1];
    let from = length - kept;
    if from <= kept {
        return sequence.narrow(1, from, kept);
    }
    let indices = Tensor::<1, Int>::arange(from as i64..length as i64, &sequence.device());
    sequence.select(1, indices)
}
