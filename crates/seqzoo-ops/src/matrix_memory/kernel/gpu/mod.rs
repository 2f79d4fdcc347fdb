//! The programs of a memory `[K, V]` that fades, is written by keys and read by queries.
//!
//! They have all chunks at once. What passes from chunk to chunk is each operator's own affair.
#![allow(
    clippy::collapsible_if,
    reason = "`comptime!` is decided when a program is built, the `if` in it when it runs"
)]

pub(crate) mod columns;
mod factors;
pub(crate) mod launch;
mod memory_overlap;
mod products;
mod read;
#[cfg(feature = "fusion")]
pub(crate) mod specs;
mod spread;
pub(crate) mod tile;
mod upstream;
mod within;

use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

/// The gradient of a tensor of `shape`, which was broadcast and whose heads served several heads of the values: always
/// summed in the same order.
pub(crate) fn summed(gradient: CubeTensor, shape: [usize; 4]) -> CubeTensor {
    let [batch, time, heads, channels] = gradient.meta.shape().dims();
    let gradient = if shape[2] == heads {
        gradient
    } else {
        let groups = Shape::new([batch, time, shape[2], heads / shape[2], channels]);
        let sums = CubeBackend::float_sum_dim(CubeBackend::float_reshape(gradient, groups), 3);
        CubeBackend::float_reshape(sums, Shape::new([batch, time, shape[2], channels]))
    };
    let wide: [usize; 4] = gradient.meta.shape().dims();
    // The innermost axis first: it leaves least to the others.
    (0..4).rev().filter(|axis| shape[*axis] < wide[*axis]).fold(gradient, CubeBackend::float_sum_dim)
}
