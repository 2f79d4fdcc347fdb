//! The linear memory in CubeCL.
//!
//! Only weights and momentum pass from block to block, and so only [`advance`](launch::advance) and, on the way back,
//! [`retreat`](launch::retreat) walk along the sequence. Once they are known, a block reads its memory as linear
//! attention does: the weights and the momentum before it are one memory of `2k` rows, and its readers are the queries,
//! scaled once for the one and once for the other. So the programs of matrix memories do the rest, without decay.
#![allow(
    clippy::collapsible_if,
    reason = "`comptime!` is decided when a program is built, the `if` in it when it runs"
)]

mod advance;
mod ask;
mod edges;
mod find;
mod fold;
mod launch;
mod mix;
mod mix_back;
mod overlaps;
mod retreat;
mod stretch;

#[cfg(feature = "fusion")]
pub(super) use edges::EDGES;

use super::blocks::{Inputs, LinearMemoryBackend, Saved, Settings};
use crate::kernel::gpu::launch::Direction::Forward;
use crate::kernel::gpu::launch::contiguous;
use crate::kernel::tensors::Maybe;
use crate::matrix_memory::kernel::Outputs;
use crate::matrix_memory::kernel::gpu::launch as shared;
use crate::matrix_memory::kernel::gpu::launch::Turn;
use burn::backend::ops::FloatTensorOps;
use burn_cubecl::{CubeBackend, kernel::into_contiguous, tensor::CubeTensor};

impl LinearMemoryBackend for CubeBackend {
    fn linear_memory(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        Self::linear_memory_forward(inputs, settings).0
    }

    fn linear_memory_forward(inputs: Inputs<Self>, _: Settings) -> (Outputs<Self>, Saved<Self>) {
        let Inputs { query, key, value, forget, momentum, step, memory, initial, marks } = contiguous(inputs);
        let of_blocks = marks.clone().into_option().expect("the marks are always there");
        let [_, _, heads, _] = value.meta.shape().dims();
        let (between, edges) = launch::mix(&forget, &momentum, &step, &of_blocks);
        let (differences, states, last) = launch::advance(&key, value, &edges, &initial, memory.clone());

        let unfading = shared::factors(&differences, None, None);
        let products = shared::products(&query, &key, None, heads, 1.0);
        let overlap = times(&products, &between);
        let readers = launch::stretch(&query, &edges);
        let written = written(&differences, &step);
        let output = shared::read(&readers, &written, &unfading, &states, &overlap, 1.0, Forward);
        let saved = Saved {
            query,
            key,
            forget,
            momentum,
            step,
            memory,
            marks,
            states,
            differences,
            products,
            between,
            edges,
        };
        (Outputs { output, memory: last }, saved)
    }

    fn linear_memory_vjp(saved: Saved<Self>, upstream: Outputs<Self>, _: Settings) -> Inputs<Self> {
        let [output, last] = [upstream.output, upstream.memory].map(into_contiguous);
        let marks = saved.marks.into_option().expect("the marks are always there");
        let Saved { query, key, forget, momentum, step, memory, .. } = saved;
        let Saved { states, differences, products, between, edges, .. } = saved;
        let [_, _, heads, _] = differences.meta.shape().dims();
        let unfading = shared::factors(&differences, None, None);
        let written = written(&differences, &step);

        // The gradient of everything written: first from the outputs of its own block, then from later blocks.
        let overlap = times(&products, &between);
        let readers = launch::stretch(&query, &edges);
        let (d_written, from_outputs) = shared::upstream(&readers, &output, &unfading, &overlap, 1.0);
        let (d_written, gradients, d_memory, d_initial) =
            launch::retreat(&key, d_written, &edges, from_outputs, last);

        // The queries as readers, the keys as writers, and the keys as those that asked.
        let d_overlap = shared::products(&output, &written, None, heads, 1.0);
        let d_readers = shared::spread(&output, &unfading, &states, Forward);
        let d_writers = shared::spread(&written, &unfading, &gradients, Forward);
        let d_edges = launch::overlaps(&states, &gradients);
        let d_query = launch::fold(&query, &d_readers, &edges, &d_edges, edges::WEIGHTS);
        let d_key = launch::fold(&key, &d_writers, &edges, &d_edges, edges::ADDED);
        launch::ask(&d_written, &edges, &states, &memory, &d_key);
        let d_products = times(&d_overlap, &between);
        let turn = Turn::First;
        shared::within(&query, &key, &unfading, &d_products, &d_query, &d_key, None, 1.0, turn);

        let d_between = times(&d_overlap, &products);
        let (d_forget, d_momentum) = launch::mix_back(&forget, &momentum, &marks, &d_between, &d_edges);
        let d_value = Self::float_mul_scalar(times(&d_written, &step), 2.0.into());
        let d_step = Self::float_neg(Self::float_sum_dim(times(&differences, &d_written), 3));
        Inputs {
            query: d_query,
            key: d_key,
            value: d_value,
            forget: d_forget,
            momentum: d_momentum,
            step: d_step,
            memory: d_memory,
            initial: d_initial,
            marks: Maybe::Absent,
        }
    }
}

/// What every token writes.
fn written(differences: &CubeTensor, step: &CubeTensor) -> CubeTensor {
    into_contiguous(CubeBackend::float_neg(times(differences, step)))
}

/// The product, number by number; one of the two may have one number where the other has a row.
fn times(left: &CubeTensor, right: &CubeTensor) -> CubeTensor {
    into_contiguous(CubeBackend::float_mul(left.clone(), right.clone()))
}
