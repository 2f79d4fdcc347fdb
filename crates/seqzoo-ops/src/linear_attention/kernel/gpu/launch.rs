//! The programs of linear attention alone as functions of tensors.

use super::{carry, step};
use crate::kernel::gpu::launch::{Direction, cubes, empty, scalar, units};
use crate::matrix_memory::kernel::gpu::launch::{Factors, chunks};
use crate::matrix_memory::kernel::gpu::tile::WIDTH;
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::tensor::CubeTensor;

/// The memories (or their gradients) at the chunks' edges, and the last.
pub(super) fn carry(
    keys: &CubeTensor,
    values: &CubeTensor,
    factors: &Factors,
    start: CubeTensor,
    scale: f64,
    direction: Direction,
) -> (CubeTensor, CubeTensor) {
    let [_, _, _, key] = keys.meta.shape().dims();
    let [batch, time, heads, value] = values.meta.shape().dims();
    let memories = empty(keys, [batch, heads, chunks(time), key, value]);
    let last = empty(keys, [batch, heads, key, value]);
    let tiles = key.div_ceil(WIDTH) * value.div_ceil(WIDTH);
    let (count, dim) = cubes(&keys.client, batch * heads * tiles, carry::UNITS as u32);
    carry::carry::launch(
        &keys.client,
        count,
        dim,
        keys.clone().into_tensor_arg(),
        values.clone().into_tensor_arg(),
        factors.values.clone().into_tensor_arg(),
        start.into_tensor_arg(),
        memories.clone().into_tensor_arg(),
        last.clone().into_tensor_arg(),
        scalar(keys, scale),
        direction == Direction::Reverse,
        factors.channels,
        dtype_to_storage_type(keys.dtype),
    );
    (memories, last)
}

/// The output and the memory after one token.
pub(super) fn step(
    query: &CubeTensor,
    key: &CubeTensor,
    value: &CubeTensor,
    factors: &Factors,
    memory: &CubeTensor,
    scale: f64,
) -> (CubeTensor, CubeTensor) {
    let [batch, heads, keys, values] = memory.meta.shape().dims();
    let (out, last) = (empty(value, [batch, 1, heads, values]), empty(value, [batch, heads, keys, values]));
    let columns = batch * heads * values;
    let (count, dim) = units(&value.client, columns);
    step::step::launch(
        &value.client,
        count,
        dim,
        query.clone().into_tensor_arg(),
        key.clone().into_tensor_arg(),
        value.clone().into_tensor_arg(),
        factors.values.clone().into_tensor_arg(),
        memory.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        last.clone().into_tensor_arg(),
        scalar(value, scale),
        factors.channels,
        dtype_to_storage_type(value.dtype),
    );
    (out, last)
}
