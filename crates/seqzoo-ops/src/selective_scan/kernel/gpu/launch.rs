//! The programs as functions of tensors. All tensors are contiguous and of one dtype.

use super::call::{Call, Extents};
use super::{finish, gradients, prepare, read, retreat, summary};
use crate::kernel::gpu::launch::{Direction, cubes, empty, or_unread, own, units};
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::tensor::CubeTensor;

/// The steps and what is written, `[2, b, t, e]`; with the gradients of the outputs, also those of what is read.
pub(super) fn prepare(call: &Call, upstream: Option<&CubeTensor>) -> CubeTensor {
    let Extents { batch, time, channels, .. } = call.extents();
    let like = &call.input;
    let tokens = empty(like, [if upstream.is_some() { 3 } else { 2 }, batch, time, channels]);
    let (count, dim) = units(&like.client, batch * time * channels);
    let [least, most] = call.limits();
    prepare::prepare::launch(
        &like.client,
        count,
        dim,
        call.delta.clone().into_tensor_arg(),
        or_unread(call.delta_bias.as_ref(), like).into_tensor_arg(),
        like.clone().into_tensor_arg(),
        or_unread(upstream, like).into_tensor_arg(),
        or_unread(call.z.as_ref(), like).into_tensor_arg(),
        tokens.clone().into_tensor_arg(),
        least,
        most,
        call.rule(),
        upstream.is_some(),
        call.z.is_some(),
        dtype_to_storage_type(like.dtype),
    );
    tokens
}

/// The chunks as one step each, `[2, b, chunks, e n]`.
pub(super) fn summary(call: &Call, tokens: &CubeTensor, direction: Direction) -> CubeTensor {
    let Extents { batch, channels, size, chunks, .. } = call.extents();
    let summaries = empty(tokens, [2, batch, chunks, channels * size]);
    let (count, dim) = units(&tokens.client, batch * chunks * channels * size);
    let reverse = direction == Direction::Reverse;
    let shared = if reverse { &call.c } else { &call.b };
    summary::summary::launch(
        &tokens.client,
        count,
        dim,
        tokens.clone().into_tensor_arg(),
        call.a.clone().into_tensor_arg(),
        shared.clone().into_tensor_arg(),
        or_unread(call.resets.as_ref(), tokens).into_tensor_arg(),
        summaries.clone().into_tensor_arg(),
        call.kind(),
        reverse,
        dtype_to_storage_type(tokens.dtype),
    );
    summaries
}

/// What is read of the states, `[b, t, e]`. With `leaves`, `carried` is overwritten with the states after the chunks.
pub(super) fn read(call: &Call, tokens: &CubeTensor, carried: &CubeTensor, leaves: bool) -> CubeTensor {
    let Extents { batch, time, channels, size, chunks, .. } = call.extents();
    let output = empty(tokens, [batch, time, channels]);
    let (count, dim) = units(&tokens.client, batch * chunks * channels);
    let width = (1..=read::WIDTH).rev().find(|width| size.is_multiple_of(*width));
    read::read::launch(
        &tokens.client,
        count,
        dim,
        tokens.clone().into_tensor_arg(),
        call.a.clone().into_tensor_arg(),
        call.b.clone().into_tensor_arg(),
        call.c.clone().into_tensor_arg(),
        or_unread(call.resets.as_ref(), tokens).into_tensor_arg(),
        carried.clone().into_tensor_arg(),
        output.clone().into_tensor_arg(),
        call.kind(),
        width.expect("1 divides every number"),
        leaves,
        dtype_to_storage_type(tokens.dtype),
    );
    output
}

/// The output, from what is read of the states.
pub(super) fn finish(call: &Call, read: CubeTensor) -> CubeTensor {
    let (skips, gated) = (call.d.is_some(), call.z.is_some());
    if !skips && !gated {
        return read;
    }
    let output = own(read);
    let (count, dim) = units(&output.client, output.meta.num_elements());
    finish::finish::launch(
        &output.client,
        count,
        dim,
        output.clone().into_tensor_arg(),
        call.input.clone().into_tensor_arg(),
        or_unread(call.d.as_ref(), &output).into_tensor_arg(),
        or_unread(call.z.as_ref(), &output).into_tensor_arg(),
        skips,
        gated,
        dtype_to_storage_type(output.dtype),
    );
    output
}

/// Overwrites `tokens` and `gradients`, and returns the gradients of `B` and `C` block by block of channels,
/// `[2, b, t, g, blocks, n]`. `shared` is both, `[2, b, t, g, n]`.
pub(super) fn retreat(
    call: &Call,
    tokens: &CubeTensor,
    shared: CubeTensor,
    states: CubeTensor,
    gradients: &CubeTensor,
) -> CubeTensor {
    let Extents { batch, time, channels, groups, size, chunks } = call.extents();
    let units = (channels / groups).next_power_of_two().min(retreat::UNITS);
    let blocks = (channels / groups).div_ceil(units);
    let of_shared = empty(tokens, [2, batch, time, groups, blocks, size]);
    let (count, dim) = cubes(&tokens.client, batch * chunks * groups * blocks, units as u32);
    retreat::retreat::launch(
        &tokens.client,
        count,
        dim,
        tokens.clone().into_tensor_arg(),
        call.a.clone().into_tensor_arg(),
        shared.into_tensor_arg(),
        or_unread(call.resets.as_ref(), tokens).into_tensor_arg(),
        states.into_tensor_arg(),
        gradients.clone().into_tensor_arg(),
        of_shared.clone().into_tensor_arg(),
        call.kind(),
        call.z.is_some(),
        units,
        dtype_to_storage_type(tokens.dtype),
    );
    of_shared
}

/// The gradients of the inputs.
pub(super) fn of_inputs(call: &Call, tokens: &CubeTensor, upstream: &CubeTensor) -> CubeTensor {
    let Extents { batch, time, channels, .. } = call.extents();
    let out = empty(tokens, [batch, time, channels]);
    let (count, dim) = units(&tokens.client, batch * time * channels);
    let [least, most] = call.limits();
    gradients::inputs::inputs::launch(
        &tokens.client,
        count,
        dim,
        tokens.clone().into_tensor_arg(),
        call.delta.clone().into_tensor_arg(),
        or_unread(call.delta_bias.as_ref(), tokens).into_tensor_arg(),
        or_unread(call.d.as_ref(), tokens).into_tensor_arg(),
        or_unread(call.z.as_ref(), tokens).into_tensor_arg(),
        upstream.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        least,
        most,
        call.rule(),
        call.d.is_some(),
        call.z.is_some(),
        dtype_to_storage_type(tokens.dtype),
    );
    out
}

/// The gradients of `delta`.
pub(super) fn of_delta(call: &Call, tokens: &CubeTensor) -> CubeTensor {
    let Extents { batch, time, channels, .. } = call.extents();
    let out = empty(tokens, [batch, time, channels]);
    let (count, dim) = units(&tokens.client, batch * time * channels);
    let [least, most] = call.limits();
    gradients::steps::steps::launch(
        &tokens.client,
        count,
        dim,
        tokens.clone().into_tensor_arg(),
        call.input.clone().into_tensor_arg(),
        call.delta.clone().into_tensor_arg(),
        or_unread(call.delta_bias.as_ref(), tokens).into_tensor_arg(),
        out.clone().into_tensor_arg(),
        least,
        most,
        call.rule(),
        dtype_to_storage_type(tokens.dtype),
    );
    out
}

/// The gradients of the gates `z`.
pub(super) fn of_gates(
    call: &Call,
    tokens: &CubeTensor,
    z: &CubeTensor,
    upstream: &CubeTensor,
) -> CubeTensor {
    let Extents { batch, time, channels, .. } = call.extents();
    let out = empty(tokens, [batch, time, channels]);
    let (count, dim) = units(&tokens.client, batch * time * channels);
    gradients::gates::gates::launch(
        &tokens.client,
        count,
        dim,
        tokens.clone().into_tensor_arg(),
        call.input.clone().into_tensor_arg(),
        or_unread(call.d.as_ref(), tokens).into_tensor_arg(),
        z.clone().into_tensor_arg(),
        upstream.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        call.d.is_some(),
        dtype_to_storage_type(tokens.dtype),
    );
    out
}

/// The gradients of the skips, one per sequence and chunk: `[b, chunks, e]`.
pub(super) fn of_skips(call: &Call, upstream: &CubeTensor) -> CubeTensor {
    let Extents { batch, channels, chunks, .. } = call.extents();
    let out = empty(upstream, [batch, chunks, channels]);
    let (count, dim) = units(&upstream.client, batch * chunks * channels);
    gradients::skips::skips::launch(
        &upstream.client,
        count,
        dim,
        call.input.clone().into_tensor_arg(),
        or_unread(call.z.as_ref(), upstream).into_tensor_arg(),
        upstream.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        call.z.is_some(),
        dtype_to_storage_type(upstream.dtype),
    );
    out
}
