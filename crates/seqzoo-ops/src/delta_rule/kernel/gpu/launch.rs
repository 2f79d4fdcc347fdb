//! The programs of the delta rule alone as functions of tensors.

use super::{carry, step};
use crate::kernel::gpu::launch::{Direction, cubes, empty, own, scalar, units};
use crate::matrix_memory::kernel::gpu::columns::UNITS;
use crate::matrix_memory::kernel::gpu::launch::{Factors, chunks};
use crate::matrix_memory::kernel::gpu::tile::WIDTH;
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::tensor::CubeTensor;

/// The differences, the memories before the chunks and the last; or, in reverse, the gradients of what is written, of
/// the memories after the chunks and of the first. `upstream` is there in reverse.
#[allow(clippy::too_many_arguments, reason = "seven tensors and a direction")]
pub(super) fn carry(
    keys: &CubeTensor,
    values: CubeTensor,
    beta: &CubeTensor,
    factors: &Factors,
    overlaps: &CubeTensor,
    upstream: Option<CubeTensor>,
    start: CubeTensor,
    direction: Direction,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [_, _, _, key] = keys.meta.shape().dims();
    let [batch, time, heads, value] = values.meta.shape().dims();
    let memories = upstream.unwrap_or_else(|| empty(keys, [batch, heads, chunks(time), key, value]));
    let (values, last) = (own(values), own(start));
    let (count, dim) = cubes(&keys.client, batch * heads * value.div_ceil(WIDTH), UNITS as u32);
    carry::carry::launch(
        &keys.client,
        count,
        dim,
        keys.clone().into_tensor_arg(),
        beta.clone().into_tensor_arg(),
        factors.values.clone().into_tensor_arg(),
        overlaps.clone().into_tensor_arg(),
        values.clone().into_tensor_arg(),
        memories.clone().into_tensor_arg(),
        last.clone().into_tensor_arg(),
        key.div_ceil(WIDTH),
        direction == Direction::Reverse,
        factors.channels,
        dtype_to_storage_type(keys.dtype),
    );
    (values, memories, last)
}

/// The output and the memory after one token.
pub(super) fn step(
    query: &CubeTensor,
    key: &CubeTensor,
    value: CubeTensor,
    beta: &CubeTensor,
    factors: &Factors,
    memory: &CubeTensor,
    scale: f64,
) -> (CubeTensor, CubeTensor) {
    let [batch, heads, keys, values] = memory.meta.shape().dims();
    let (out, last) = (own(value), empty(key, [batch, heads, keys, values]));
    let columns = batch * heads * values;
    let (count, dim) = units(&key.client, columns);
    step::step::launch(
        &key.client,
        count,
        dim,
        query.clone().into_tensor_arg(),
        key.clone().into_tensor_arg(),
        beta.clone().into_tensor_arg(),
        factors.values.clone().into_tensor_arg(),
        memory.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        last.clone().into_tensor_arg(),
        scalar(key, scale),
        factors.channels,
        dtype_to_storage_type(key.dtype),
    );
    (out, last)
}
