#![doc = include_str!("README.md")]

mod autodiff;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod fusion;
#[cfg(feature = "cube")]
mod gpu;

use super::problem::Problem;
use crate::kernel::{Settings, arguments};
use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// The delta rule as backends with a kernel implement it.
///
/// All tensors have one dtype, `f32` or `f64`. `query` and `key` are `[B, T, H, K]`, `value` is `[B, T, H, V]`, `beta`
/// is `[B, T, H, 1]` or `[B, T, H, V]`, `memory` (the initial state) is `[B, H, K, V]`, `resets` is `[B, T]` with 1
/// where the memory is cleared before the token and 0 elsewhere. `decay` broadcasts to `[B, T, H, K]`: it is
/// `[1, 1, H, 1]`, `[B, T, H, 1]` or `[B, T, H, K]`. Where nothing decays, or nothing is reset, a single number
/// stands in the tensor's place.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
)]
pub trait DeltaRuleBackend: Backend {
    /// The output `[B, T, H, V]` and the final memory; what autodiff records.
    #[allow(clippy::too_many_arguments, reason = "the macro wants every tensor by itself")]
    #[fusion(default)]
    fn delta_rule(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        memory: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        settings: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (output, last, _, _, _, _) =
            Self::delta_rule_forward(query, key, value, beta, decay, memory, resets, settings, false);
        (output, last)
    }

    /// The output, the final memory, and four tensors that only [`delta_rule_vjp`](Self::delta_rule_vjp) of the same
    /// backend reads: the memory before every chunk; of every token, what its value differs from what the memory
    /// holds under its key; and the products of queries with keys, and of keys with keys, inside the chunks. They are
    /// single numbers where `keep` is false.
    #[allow(clippy::too_many_arguments, clippy::type_complexity, reason = "as above")]
    #[fusion(meta = fusion::forward)]
    fn delta_rule_forward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        memory: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        settings: Settings,
        keep: bool,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );

    /// The gradients of query, key, value, beta, decay and initial memory, each in the shape of its tensor, from those
    /// of the output and of the final memory.
    #[allow(clippy::too_many_arguments, clippy::type_complexity, reason = "as above")]
    #[fusion(meta = fusion::vjp)]
    fn delta_rule_vjp(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        states: FloatTensor<Self>,
        differences: FloatTensor<Self>,
        products: FloatTensor<Self>,
        overlaps: FloatTensor<Self>,
        output_gradient: FloatTensor<Self>,
        memory_gradient: FloatTensor<Self>,
        settings: Settings,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );
}

/// Runs the kernel of the device that the tensors are on.
pub(super) fn kernel(problem: Problem) -> (Tensor<4>, Tensor<4>) {
    let Problem { query, key, value, beta, decay, resets, memory, scale, bounded } = problem;
    let (decay, resets, settings) = arguments(decay, resets, scale, &value);
    let settings = Settings { bounded, ..settings };
    let (output, memory) = Dispatch::delta_rule(
        query.into_dispatch(),
        key.into_dispatch(),
        value.into_dispatch(),
        beta.into_dispatch(),
        decay.into_dispatch(),
        memory.into_dispatch(),
        resets.into_dispatch(),
        settings,
    );
    (Tensor::from_dispatch(output), Tensor::from_dispatch(memory))
}
