//! The programs as functions of tensors. All tensors are contiguous and of one dtype.

use super::kind::{CHUNK, Kind};
use super::{factor_gradient, summary, walk};
use crate::kernel::gpu::launch::{Direction, empty, or_unread, own, units};
use crate::scan::kernel::gpu::launch::{Parts, across};
use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

fn kind(factor: &Parts, resets: Option<&CubeTensor>, direction: Direction) -> Kind {
    let [batch, time, _] = factor.dims();
    Kind {
        complex: factor.is_complex(),
        shared: batch * time == 1,
        resets: resets.is_some(),
        reverse: direction == Direction::Reverse,
    }
}

/// All states and the last from the inputs and the first; or, in reverse, the gradients of the inputs and of the first
/// state from those of the states and of the last.
pub(super) fn scan(
    numbers: Parts,
    factor: &Parts,
    start: Parts,
    resets: Option<&CubeTensor>,
    direction: Direction,
) -> (Parts, Parts) {
    let kind = kind(factor, resets, direction);
    let [_, time, _] = numbers.dims();
    let (numbers, last) = (numbers.map(own), start.map(own));
    let carried = match time.div_ceil(CHUNK) {
        1 => last.clone(), // the only chunk begins with the start and leaves the last
        chunks => {
            let summaries = summary(&numbers, factor, resets, chunks, kind);
            across(&summaries, &last, direction)
        }
    };
    (walk(numbers, factor, resets, &carried, kind), last)
}

fn summary(
    numbers: &Parts,
    factor: &Parts,
    resets: Option<&CubeTensor>,
    chunks: usize,
    kind: Kind,
) -> CubeTensor {
    let [batch, _, channels] = numbers.dims();
    let like = &numbers.re;
    let summaries = empty(like, [if kind.complex { 4 } else { 2 }, batch, chunks, channels]);
    let (count, dim) = units(&like.client, batch * chunks * channels);
    summary::summary::launch(
        &like.client,
        count,
        dim,
        like.clone().into_tensor_arg(),
        or_unread(numbers.im.as_ref(), like).into_tensor_arg(),
        factor.re.clone().into_tensor_arg(),
        or_unread(factor.im.as_ref(), like).into_tensor_arg(),
        or_unread(resets, like).into_tensor_arg(),
        summaries.clone().into_tensor_arg(),
        kind,
        dtype_to_storage_type(like.dtype),
    );
    summaries
}

/// Overwrites `numbers`, and `carried` with what the chunks leave.
fn walk(numbers: Parts, factor: &Parts, resets: Option<&CubeTensor>, carried: &Parts, kind: Kind) -> Parts {
    let like = &numbers.re;
    let (count, dim) = units(&like.client, carried.dims().iter().product());
    walk::walk::launch(
        &like.client,
        count,
        dim,
        like.clone().into_tensor_arg(),
        or_unread(numbers.im.as_ref(), like).into_tensor_arg(),
        factor.re.clone().into_tensor_arg(),
        or_unread(factor.im.as_ref(), like).into_tensor_arg(),
        or_unread(resets, like).into_tensor_arg(),
        carried.re.clone().into_tensor_arg(),
        or_unread(carried.im.as_ref(), like).into_tensor_arg(),
        kind,
        dtype_to_storage_type(like.dtype),
    );
    numbers
}

/// The gradients of the factors from those of the inputs, the states and the first state.
pub(super) fn factor_gradient(
    inputs: &Parts,
    states: &Parts,
    start: Parts,
    factor: &Parts,
    resets: Option<&CubeTensor>,
) -> Parts {
    let kind = kind(factor, resets, Direction::Forward);
    let [batch, time, channels] = inputs.dims();
    let chunks = time.div_ceil(CHUNK);
    // Seven tensors are the most that a program takes: it takes the parts of the start as one, and makes one part.
    let start = match start.im {
        None => start.re,
        Some(im) => CubeBackend::float_cat(vec![start.re, im], 1),
    };
    let part = |of_imaginary| {
        let like = &inputs.re;
        let out = empty(like, [batch, if kind.shared { chunks } else { time }, channels]);
        let (count, dim) = units(&like.client, batch * chunks * channels);
        factor_gradient::factor_gradient::launch(
            &like.client,
            count,
            dim,
            like.clone().into_tensor_arg(),
            or_unread(inputs.im.as_ref(), like).into_tensor_arg(),
            states.re.clone().into_tensor_arg(),
            or_unread(states.im.as_ref(), like).into_tensor_arg(),
            start.clone().into_tensor_arg(),
            or_unread(resets, like).into_tensor_arg(),
            out.clone().into_tensor_arg(),
            chunks,
            of_imaginary,
            kind,
            dtype_to_storage_type(like.dtype),
        );
        match kind.shared {
            // Always in the same order.
            true => CubeBackend::float_sum_dim(CubeBackend::float_sum_dim(out, 1), 0),
            false => out,
        }
    };
    Parts { re: part(false), im: kind.complex.then(|| part(true)) }
}
