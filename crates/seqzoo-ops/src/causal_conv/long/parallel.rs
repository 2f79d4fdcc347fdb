//! All tokens at once, in plain tensor operations: products of blocks of inputs with blocks of a Toeplitz matrix.
//!
//! Cut into blocks of `C`, the convolution is `y_i = Σ_m F_m x_{i-m}` with `F_m[r, c] = filter[mC + r - c]`. Tokens of
//! one segment see each other. Segments are in order, so two tokens of different blocks are in one segment if both are in
//! that of the last token of the earlier block: a mask of inputs times a mask of outputs, which leaves the products
//! whole. Inside a block ([`diagonal`]) there is no such shortcut.

use super::problem::{Joined, Problem};
use burn::tensor::{Int, Tensor, TensorData};

/// Tokens of a block, at most.
const BLOCK: usize = 64;

pub(super) fn parallel(problem: Problem) -> (Tensor<3>, Tensor<3>) {
    let problem = problem.joined();
    let kept = problem.kept();
    (output(problem), kept)
}

fn output(problem: Joined) -> Tensor<3> {
    let time = problem.time;
    let [batch, count, channels] = problem.entries.dims();
    let (device, dtype) = (problem.entries.device(), problem.entries.dtype());
    let taps = problem.filter.dims()[1];
    let size = taps.next_power_of_two().min(BLOCK);
    let blocks = count.div_ceil(size);
    let columns = blocks * batch;
    let front = blocks * size - count;
    let segments = problem.segments().map(|ids| {
        let ids = in_front(Tensor::zeros([batch, front], (&ids.device(), ids.dtype())), ids, 1);
        ids.reshape([batch, blocks, size]).permute([2, 1, 0]).reshape([size, columns])
    });
    let Joined { entries, filter, .. } = problem;
    let entries = in_front(Tensor::zeros([batch, front, channels], (&device, dtype)), entries, 1);
    let entries = entries.reshape([batch, blocks, size, channels]).permute([3, 2, 1, 0]);
    let entries = entries.reshape([channels, size, columns]);

    // Blocks before this one hold no tokens.
    let first = (blocks * size - time) / size;
    let ends = segments.clone().map(|ids| ids.narrow(0, size - 1, 1)); // [1, columns]
    let carried = match (&segments, &ends) {
        (Some(ids), Some(ends)) => hide(entries.clone(), ids.clone(), ends.clone()),
        _ => entries.clone(),
    };
    let toeplitz = Toeplitz::new(filter.clone(), size);
    let mut output = match &segments {
        None => toeplitz.block(0).matmul(entries.narrow(2, first * batch, columns - first * batch)),
        Some(ids) => {
            let own = |extent| (first * batch, extent - first * batch);
            let (start, width) = own(columns);
            diagonal(entries.narrow(2, start, width), ids.clone().narrow(1, start, width), filter)
        }
    };
    // The nearest taps that block `m` holds are `(m - 1) size + 1`.
    for m in (1..blocks).take_while(|m| (m - 1) * size + 1 < taps) {
        let from = first.max(m); // the first block of outputs that has a block `m` before it
        let width = (blocks - from) * batch;
        let mut part = toeplitz.block(m).matmul(carried.clone().narrow(2, (from - m) * batch, width));
        if let (Some(ids), Some(ends)) = (&segments, &ends) {
            let ids = ids.clone().narrow(1, from * batch, width);
            part = hide(part, ids, ends.clone().narrow(1, (from - m) * batch, width));
        }
        let without = Tensor::zeros([channels, size, (from - first) * batch], (&device, dtype));
        output = output + in_front(without, part, 2);
    }
    let outputs = blocks - first;
    let output = output.reshape([channels, size, outputs, batch]).permute([3, 2, 1, 0]);
    output.reshape([batch, outputs * size, channels]).narrow(1, outputs * size - time, time)
}

/// The blocks `F_m`.
struct Toeplitz {
    filter: Tensor<2>,    // [d, c - 1 zeros, the taps, 2 c zeros]
    taps: Tensor<1, Int>, // [c · c], counted from the first of a block
    size: usize,
}

impl Toeplitz {
    fn new(filter: Tensor<2>, size: usize) -> Self {
        let [channels, _] = filter.dims();
        let device = filter.device();
        let zeros = |count| Tensor::zeros([channels, count], (&device, filter.dtype()));
        let (before, after) = (zeros(size - 1), zeros(2 * size));
        let taps: Vec<i64> = (0..size * size).map(|i| (i / size + size - 1 - i % size) as i64).collect();
        Self {
            filter: in_front(before, Tensor::cat(vec![filter, after], 1), 1),
            taps: Tensor::from_data(TensorData::new(taps, [size * size]), &device),
            size,
        }
    }

    /// `F_m` of every channel, `[d, c, c]`.
    fn block(&self, m: usize) -> Tensor<3> {
        let Self { filter, taps, size } = self;
        let near = filter.clone().narrow(1, m * size, 2 * size - 1);
        near.select(1, taps.clone()).reshape([filter.dims()[0], *size, *size])
    }
}

/// What the tokens of a block give each other where they are in one segment: `[d, c, columns]`.
fn diagonal(entries: Tensor<3>, ids: Tensor<2, Int>, filter: Tensor<2>) -> Tensor<3> {
    let [channels, size, columns] = entries.dims();
    let tap = |j| filter.clone().narrow(1, j, 1).reshape([channels, 1, 1]);
    let mut output = entries.clone() * tap(0);
    for j in 1..size.min(filter.dims()[1]) {
        let length = size - j;
        let earlier = hide(
            entries.clone().narrow(1, 0, length),
            ids.clone().narrow(0, 0, length),
            ids.clone().narrow(0, j, length),
        );
        let without = Tensor::zeros([channels, j, columns], (&entries.device(), entries.dtype()));
        output = output + in_front(without, earlier * tap(j), 1);
    }
    output
}

/// `tokens`, `[d, c, columns]`, with zeros where the segments differ.
fn hide(tokens: Tensor<3>, ids: Tensor<2, Int>, others: Tensor<2, Int>) -> Tensor<3> {
    let hidden = ids.clone().not_equal(others.expand(ids.dims()));
    let shape = tokens.dims();
    tokens.mask_fill(hidden.unsqueeze_dim::<3>(0).expand(shape), 0.0)
}

/// `front` before `rest` on `axis`; `front` may be empty there.
fn in_front<const D: usize, K: burn::tensor::kind::Basic>(
    front: Tensor<D, K>,
    rest: Tensor<D, K>,
    axis: usize,
) -> Tensor<D, K> {
    if front.dims()[axis] == 0 { rest } else { Tensor::cat(vec![front, rest], axis) }
}
