//! Linear maps, and those of few tokens at the speed of memory.

mod kernel;

use burn::tensor::{Tensor, module};

/// `y = x W + b`, as [`burn::tensor::module::linear`].
///
/// A stream maps one token after another, and then a matrix is read once for a few multiplications. On the CPU, without a
/// tape, a kernel does that for up to four tokens at once.
///
/// # Shapes
///
/// * `input`: `[.., K]`, with at least one element; `weight`: `[K, N]`; `bias`: `[N]`.
/// * Returns `[.., N]`.
///
/// # Panics
///
/// As Burn does, if the shapes disagree.
#[track_caller]
pub fn linear<const D: usize>(input: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    if !kernel::takes(&input, &weight, bias.as_ref()) {
        return module::linear(input, weight, bias);
    }
    let mut shape = input.dims();
    let [channels, width] = weight.dims();
    let rows = shape[..D - 1].iter().product();
    shape[D - 1] = width;
    kernel::run(input.reshape([rows, channels]), weight, bias).reshape(shape)
}
