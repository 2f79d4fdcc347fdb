//! The programs as functions of tensors. All tensors are contiguous and of one dtype.

use super::columns::UNITS;
use super::{factors, memory_overlap, products, read, spread, tile::CHUNK, tile::WIDTH, upstream, within};
use crate::kernel::gpu::launch::{Direction, cubes, empty, or_unread, scalar, units};
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::tensor::CubeTensor;

/// The factor of every token, by which the memory decays before the token writes.
#[derive(Clone)]
pub(crate) struct Factors {
    pub values: CubeTensor, // [b, t, h, 1] or [b, t, h, k]
    /// Whether every key channel has its own factor.
    pub channels: bool,
}

/// Whose gradients [`within`] completes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The queries, which read after their token has written, and the writes.
    First,
    /// The keys, which read before their token writes, in addition to the first.
    BeforeTheWrite,
}

/// Chunks of `time` tokens.
pub(crate) fn chunks(time: usize) -> usize {
    time.div_ceil(CHUNK)
}

/// The factors of `decay` and `resets` for the tokens of `value`.
pub(crate) fn factors(value: &CubeTensor, decay: Option<CubeTensor>, resets: Option<CubeTensor>) -> Factors {
    let [batch, time, heads, _] = value.meta.shape().dims();
    let width = decay.as_ref().map_or(1, |decay| decay.meta.shape().dims::<4>()[3]);
    let factors = empty(value, [batch, time, heads, width]);
    let (count, dim) = units(&value.client, factors.meta.num_elements());
    factors::factors::launch(
        &value.client,
        count,
        dim,
        or_unread(decay.as_ref(), value).into_tensor_arg(),
        or_unread(resets.as_ref(), value).into_tensor_arg(),
        factors.clone().into_tensor_arg(),
        decay.is_some(),
        resets.is_some(),
        dtype_to_storage_type(value.dtype),
    );
    Factors { values: factors, channels: width > 1 }
}

/// The products `left · rightᵀ` inside the chunks, for `heads` heads of values, faded where `factors` is given.
pub(crate) fn products(
    left: &CubeTensor,
    right: &CubeTensor,
    factors: Option<&Factors>,
    heads: usize,
    scale: f64,
) -> CubeTensor {
    let [batch, time, _, _] = left.meta.shape().dims();
    let out = empty(left, [batch, heads, chunks(time), CHUNK, CHUNK]);
    let (count, dim) = cubes(&left.client, batch * heads * chunks(time), products::UNITS as u32);
    products::products::launch(
        &left.client,
        count,
        dim,
        left.clone().into_tensor_arg(),
        right.clone().into_tensor_arg(),
        factors.map_or(left, |factors| &factors.values).clone().into_tensor_arg(), // unread where nothing fades
        out.clone().into_tensor_arg(),
        scalar(left, scale),
        factors.is_some(),
        factors.is_some_and(|factors| factors.channels),
        dtype_to_storage_type(left.dtype),
    );
    out
}

/// The outputs, or the gradients of the values.
pub(crate) fn read(
    keys: &CubeTensor,
    values: &CubeTensor,
    factors: &Factors,
    memories: &CubeTensor,
    products: &CubeTensor,
    scale: f64,
    direction: Direction,
) -> CubeTensor {
    let [batch, time, heads, value] = values.meta.shape().dims();
    let out = empty(values, [batch, time, heads, value]);
    let blocks = value.div_ceil(read::COLUMNS);
    let (count, dim) = cubes(&keys.client, batch * heads * chunks(time) * blocks, read::UNITS as u32);
    read::read::launch(
        &keys.client,
        count,
        dim,
        keys.clone().into_tensor_arg(),
        values.clone().into_tensor_arg(),
        factors.values.clone().into_tensor_arg(),
        memories.clone().into_tensor_arg(),
        products.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        scalar(keys, scale),
        direction == Direction::Reverse,
        factors.channels,
        dtype_to_storage_type(keys.dtype),
    );
    out
}

/// The gradients of queries or keys through the memory.
pub(crate) fn spread(
    values: &CubeTensor,
    factors: &Factors,
    memories: &CubeTensor,
    direction: Direction,
) -> CubeTensor {
    let [batch, heads, chunks, key, _] = memories.meta.shape().dims();
    let [_, time, _, _] = values.meta.shape().dims();
    let out = empty(values, [batch, time, heads, key]);
    let tiles = key.div_ceil(WIDTH);
    let (count, dim) = cubes(&values.client, batch * heads * chunks * tiles, spread::UNITS as u32);
    spread::spread::launch(
        &values.client,
        count,
        dim,
        values.clone().into_tensor_arg(),
        factors.values.clone().into_tensor_arg(),
        memories.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        direction == Direction::Reverse,
        factors.channels,
        dtype_to_storage_type(values.dtype),
    );
    out
}

/// The overlap of memories and gradients, where [`within`] looks for it.
pub(crate) fn memory_overlap(memories: &CubeTensor, gradients: &CubeTensor, time: usize) -> CubeTensor {
    let [batch, heads, chunks, key, _] = memories.meta.shape().dims();
    let out = empty(memories, [batch, time, heads, key]);
    let lines = batch * heads * chunks * key;
    let (count, dim) = units(&memories.client, lines);
    memory_overlap::memory_overlap::launch(
        &memories.client,
        count,
        dim,
        memories.clone().into_tensor_arg(),
        gradients.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        dtype_to_storage_type(memories.dtype),
    );
    out
}

/// Completes the gradients of queries, keys and, where there is one, log decays, in place.
#[allow(clippy::too_many_arguments, reason = "the inputs, their gradients, and how they are scaled")]
pub(crate) fn within(
    query: &CubeTensor,
    key: &CubeTensor,
    factors: &Factors,
    products_gradient: &CubeTensor,
    query_gradient: &CubeTensor,
    key_gradient: &CubeTensor,
    decay_gradient: Option<&CubeTensor>,
    scale: f64,
    turn: Turn,
) {
    let [batch, time, heads, width] = query_gradient.meta.shape().dims();
    let blocks = width.div_ceil(within::UNITS);
    let (count, dim) = cubes(&query.client, batch * heads * chunks(time) * blocks, within::UNITS as u32);
    within::within::launch(
        &query.client,
        count,
        dim,
        query.clone().into_tensor_arg(),
        key.clone().into_tensor_arg(),
        factors.values.clone().into_tensor_arg(),
        products_gradient.clone().into_tensor_arg(),
        query_gradient.clone().into_tensor_arg(),
        key_gradient.clone().into_tensor_arg(),
        or_unread(decay_gradient, query).into_tensor_arg(),
        scalar(query, scale),
        turn == Turn::BeforeTheWrite,
        decay_gradient.is_some(),
        factors.channels,
        dtype_to_storage_type(query.dtype),
    );
}

/// The gradients of a chunk's writes and of the memory before it, from its outputs.
pub(crate) fn upstream(
    query: &CubeTensor,
    output: &CubeTensor,
    factors: &Factors,
    products: &CubeTensor,
    scale: f64,
) -> (CubeTensor, CubeTensor) {
    let [_, _, _, key] = query.meta.shape().dims();
    let [batch, time, heads, value] = output.meta.shape().dims();
    let of_written = empty(query, [batch, time, heads, value]);
    let of_memories = empty(query, [batch, heads, chunks(time), key, value]);
    let blocks = value.div_ceil(WIDTH);
    let (count, dim) = cubes(&query.client, batch * heads * chunks(time) * blocks, UNITS as u32);
    upstream::upstream::launch(
        &query.client,
        count,
        dim,
        query.clone().into_tensor_arg(),
        output.clone().into_tensor_arg(),
        factors.values.clone().into_tensor_arg(),
        products.clone().into_tensor_arg(),
        of_written.clone().into_tensor_arg(),
        of_memories.clone().into_tensor_arg(),
        scalar(query, scale),
        factors.channels,
        dtype_to_storage_type(query.dtype),
    );
    (of_written, of_memories)
}
