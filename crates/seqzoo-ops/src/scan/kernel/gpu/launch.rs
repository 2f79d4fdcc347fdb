//! Tensors of numbers with or without imaginary parts, and the recurrence over chunks as a function of them.

use super::across;
use crate::kernel::gpu::launch::{Direction, empty, or_unread, units};
use crate::kernel::tensors::Maybe;
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

/// Real parts, with the imaginary ones if there are any.
#[derive(Clone)]
pub(crate) struct Parts {
    pub re: CubeTensor,
    pub im: Option<CubeTensor>,
}

impl Parts {
    pub fn new(re: CubeTensor, im: Maybe<CubeBackend>) -> Self {
        Self { re, im: im.into_option() }
    }

    pub fn apart(self) -> (CubeTensor, Maybe<CubeBackend>) {
        (self.re, Maybe::new(self.im))
    }

    pub fn map(self, change: impl Fn(CubeTensor) -> CubeTensor) -> Self {
        Self { re: change(self.re), im: self.im.map(change) }
    }

    /// Tensors of this shape, to be filled.
    fn empty<const D: usize>(&self, shape: [usize; D]) -> Self {
        self.clone().map(|part| empty(&part, shape))
    }

    pub fn is_complex(&self) -> bool {
        self.im.is_some()
    }

    pub fn dims(&self) -> [usize; 3] {
        self.re.meta.shape().dims()
    }
}

/// What is carried into the chunks, from their `summaries`; `carried` is overwritten with what the last one leaves.
pub(crate) fn across(summaries: &CubeTensor, carried: &Parts, direction: Direction) -> Parts {
    let [_, batch, chunks, channels] = summaries.meta.shape().dims();
    let before = carried.empty([batch, chunks, channels]);
    let (count, dim) = units(&summaries.client, batch * channels);
    across::across::launch(
        &summaries.client,
        count,
        dim,
        summaries.clone().into_tensor_arg(),
        carried.re.clone().into_tensor_arg(),
        or_unread(carried.im.as_ref(), summaries).into_tensor_arg(),
        before.re.clone().into_tensor_arg(),
        or_unread(before.im.as_ref(), summaries).into_tensor_arg(),
        carried.is_complex(),
        direction == Direction::Reverse,
        dtype_to_storage_type(summaries.dtype),
    );
    before
}
