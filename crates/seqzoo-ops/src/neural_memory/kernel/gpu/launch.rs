//! The programs as functions of tensors. All tensors are contiguous and of one dtype.

use super::super::blocks::SLOTS;
use super::edges::EDGES;
use super::{advance, ask, fold, mix, mix_back, overlaps, retreat, stretch};
use crate::kernel::gpu::launch::{cubes, empty, own, units};
use crate::matrix_memory::kernel::gpu::columns;
use crate::matrix_memory::kernel::gpu::tile::WIDTH;
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::tensor::CubeTensor;

/// How far what one token writes is in what another reads, and the [`edges`](super::edges).
pub(super) fn mix(
    forget: &CubeTensor,
    momentum: &CubeTensor,
    step: &CubeTensor,
    marks: &CubeTensor,
) -> (CubeTensor, CubeTensor) {
    let [batch, slots, heads, _] = forget.meta.shape().dims();
    let blocks = slots / SLOTS;
    let between = empty(forget, [batch, heads, blocks, SLOTS, SLOTS]);
    let edges = empty(forget, [batch, heads, blocks, EDGES, SLOTS]);
    let (count, dim) = cubes(&forget.client, batch * heads * blocks, mix::UNITS as u32);
    mix::mix::launch(
        &forget.client,
        count,
        dim,
        forget.clone().into_tensor_arg(),
        momentum.clone().into_tensor_arg(),
        step.clone().into_tensor_arg(),
        marks.clone().into_tensor_arg(),
        between.clone().into_tensor_arg(),
        edges.clone().into_tensor_arg(),
        dtype_to_storage_type(forget.dtype),
    );
    (between, edges)
}

/// The gradients of forgetting and momentum.
pub(super) fn mix_back(
    forget: &CubeTensor,
    momentum: &CubeTensor,
    marks: &CubeTensor,
    of_between: &CubeTensor,
    of_edges: &CubeTensor,
) -> (CubeTensor, CubeTensor) {
    let [batch, slots, heads, _] = forget.meta.shape().dims();
    let (of_forget, of_momentum) =
        (empty(forget, [batch, slots, heads, 1]), empty(forget, [batch, slots, heads, 1]));
    let (count, dim) = cubes(&forget.client, batch * heads * (slots / SLOTS), mix::UNITS as u32);
    mix_back::mix_back::launch(
        &forget.client,
        count,
        dim,
        forget.clone().into_tensor_arg(),
        momentum.clone().into_tensor_arg(),
        marks.clone().into_tensor_arg(),
        of_between.clone().into_tensor_arg(),
        of_edges.clone().into_tensor_arg(),
        of_forget.clone().into_tensor_arg(),
        of_momentum.clone().into_tensor_arg(),
        dtype_to_storage_type(forget.dtype),
    );
    (of_forget, of_momentum)
}

/// What every answer is off by, twice; weights and momentum before the blocks; and the memory after the last.
pub(super) fn advance(
    keys: &CubeTensor,
    values: CubeTensor,
    edges: &CubeTensor,
    initial: &CubeTensor,
    memory: CubeTensor,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [batch, heads, key, value] = initial.meta.shape().dims();
    let [_, slots, _, _] = keys.meta.shape().dims();
    let states = empty(keys, [batch, heads, slots / SLOTS, 2 * key, value]);
    let (values, last) = (own(values), own(memory));
    let (count, dim) = cubes(&keys.client, batch * heads * value.div_ceil(WIDTH), columns::UNITS as u32);
    advance::advance::launch(
        &keys.client,
        count,
        dim,
        keys.clone().into_tensor_arg(),
        edges.clone().into_tensor_arg(),
        initial.clone().into_tensor_arg(),
        values.clone().into_tensor_arg(),
        states.clone().into_tensor_arg(),
        last.clone().into_tensor_arg(),
        key.div_ceil(WIDTH),
        dtype_to_storage_type(keys.dtype),
    );
    (values, states, last)
}

/// The gradients of everything written, of weights and momentum after the blocks, of the memory before the first, and of
/// the initial weights. Of the first two comes in what a block's own outputs say.
pub(super) fn retreat(
    keys: &CubeTensor,
    of_written: CubeTensor,
    edges: &CubeTensor,
    gradients: CubeTensor,
    last: CubeTensor,
) -> (CubeTensor, CubeTensor, CubeTensor, CubeTensor) {
    let [batch, heads, _, rows, value] = gradients.meta.shape().dims();
    let key = rows / 2;
    let of_initial = empty(keys, [batch, heads, key, value]);
    let (of_written, gradients, first) = (own(of_written), own(gradients), own(last));
    let (count, dim) = cubes(&keys.client, batch * heads * value.div_ceil(WIDTH), columns::UNITS as u32);
    retreat::retreat::launch(
        &keys.client,
        count,
        dim,
        keys.clone().into_tensor_arg(),
        edges.clone().into_tensor_arg(),
        of_written.clone().into_tensor_arg(),
        gradients.clone().into_tensor_arg(),
        first.clone().into_tensor_arg(),
        of_initial.clone().into_tensor_arg(),
        key.div_ceil(WIDTH),
        dtype_to_storage_type(keys.dtype),
    );
    (of_written, gradients, first, of_initial)
}

/// The queries as readers of weights and momentum together.
pub(super) fn stretch(query: &CubeTensor, edges: &CubeTensor) -> CubeTensor {
    let [batch, slots, heads, key] = query.meta.shape().dims();
    let out = empty(query, [batch, slots, heads, 2 * key]);
    let (count, dim) = units(&query.client, out.meta.num_elements());
    stretch::stretch::launch(
        &query.client,
        count,
        dim,
        query.clone().into_tensor_arg(),
        edges.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        dtype_to_storage_type(query.dtype),
    );
    out
}

/// The gradients of queries or keys, of which `wide` has those towards weights and momentum; and, in `of_edges`, those of
/// the two rows of factors from `row` on.
pub(super) fn fold(
    tokens: &CubeTensor,
    wide: &CubeTensor,
    edges: &CubeTensor,
    of_edges: &CubeTensor,
    row: usize,
) -> CubeTensor {
    let [batch, slots, heads, key] = tokens.meta.shape().dims();
    let out = empty(tokens, [batch, slots, heads, key]);
    let (count, dim) = cubes(&tokens.client, batch * heads * (slots / SLOTS), fold::UNITS as u32);
    fold::fold::launch(
        &tokens.client,
        count,
        dim,
        tokens.clone().into_tensor_arg(),
        wide.clone().into_tensor_arg(),
        edges.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        of_edges.clone().into_tensor_arg(),
        row,
        dtype_to_storage_type(tokens.dtype),
    );
    out
}

/// Gradients of the edges, of which this fills the numbers of whole blocks.
pub(super) fn overlaps(states: &CubeTensor, gradients: &CubeTensor) -> CubeTensor {
    let [batch, heads, blocks, _, _] = states.meta.shape().dims();
    let of_edges = empty(states, [batch, heads, blocks, EDGES, SLOTS]);
    let (count, dim) = cubes(&states.client, batch * heads * blocks, overlaps::UNITS as u32);
    overlaps::overlaps::launch(
        &states.client,
        count,
        dim,
        states.clone().into_tensor_arg(),
        gradients.clone().into_tensor_arg(),
        of_edges.clone().into_tensor_arg(),
        dtype_to_storage_type(states.dtype),
    );
    of_edges
}

/// Adds to the gradients of the keys what they have as those that asked the memory.
pub(super) fn ask(
    of_written: &CubeTensor,
    edges: &CubeTensor,
    states: &CubeTensor,
    memory: &CubeTensor,
    of_keys: &CubeTensor,
) {
    let [batch, heads, blocks, rows, _] = states.meta.shape().dims();
    let tiles = (rows / 2).div_ceil(WIDTH);
    let (count, dim) = cubes(&states.client, batch * heads * blocks * tiles, ask::UNITS as u32);
    ask::ask::launch(
        &states.client,
        count,
        dim,
        of_written.clone().into_tensor_arg(),
        edges.clone().into_tensor_arg(),
        states.clone().into_tensor_arg(),
        memory.clone().into_tensor_arg(),
        of_keys.clone().into_tensor_arg(),
        dtype_to_storage_type(states.dtype),
    );
}
