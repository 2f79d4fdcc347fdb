//! The programs of a memory `[K, V]` that fades, is written by keys and read by queries.
//!
//! They have all chunks at once. What passes from chunk to chunk is each operator's own affair.
#![allow(
    clippy::collapsible_if,
    reason = "`comptime!` is decided when a program is built, the `if` in it when it runs"
)]

mod factors;
pub(crate) mod launch;
mod memory_overlap;
mod products;
mod read;
#[cfg(feature = "fusion")]
pub(crate) mod specs;
mod spread;
pub(crate) mod tile;
mod within;

use burn::backend::ops::FloatTensorOps;
use burn_cubecl::{CubeBackend, tensor::CubeTensor};

/// The gradient of a tensor that was broadcast from `shape`.
pub(crate) fn summed(gradient: CubeTensor, shape: [usize; 4]) -> CubeTensor {
    let wide: [usize; 4] = gradient.meta.shape().dims();
    // The innermost axis first: it leaves least to the others.
    (0..4).rev().filter(|axis| shape[*axis] < wide[*axis]).fold(gradient, CubeBackend::float_sum_dim)
}
