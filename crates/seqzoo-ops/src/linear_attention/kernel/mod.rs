#![doc = include_str!("README.md")]

mod autodiff;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod fusion;
#[cfg(feature = "cube")]
mod gpu;

use super::problem::Problem;
use super::{LinearAttentionState, normaliser};
use crate::kernel::{Settings, arguments};
use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// Linear attention as backends with a kernel implement it.
///
/// All tensors have one dtype, `f32` or `f64`. `query` and `key` are `[B, T, H, K]`, `value` is
/// `[B, T, H, V]`, `memory` (the initial state) is `[B, H, K, V]`, `resets` is `[B, T]` with 1 where the
/// memory is cleared before the token and 0 elsewhere. `decay` broadcasts to `[B, T, H, K]`: it is
/// `[1, 1, H, 1]`, `[B, T, H, 1]` or `[B, T, H, K]`. Where nothing decays, or nothing is reset, a single
/// number stands in the tensor's place.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
)]
pub trait LinearAttentionBackend: Backend {
    /// The output `[B, T, H, V]` and the final memory; what autodiff records.
    #[fusion(default)]
    fn linear_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        memory: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        settings: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (output, last, _, _) =
            Self::linear_attention_forward(query, key, value, decay, memory, resets, settings, false);
        (output, last)
    }

    /// The output, the final memory, and two tensors that only
    /// [`linear_attention_vjp`](Self::linear_attention_vjp) of the same backend reads: the memory before
    /// every chunk, and the products inside the chunks. They are single numbers where `keep` is false,
    /// or where the backward pass needs no such thing.
    #[allow(
        clippy::too_many_arguments,
        clippy::type_complexity,
        reason = "the macro wants every tensor by itself"
    )]
    #[fusion(meta = fusion::forward)]
    fn linear_attention_forward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        memory: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        settings: Settings,
        keep: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The gradients of query, key, value, decay and initial memory, each in the shape of its tensor,
    /// from those of the output and of the final memory.
    #[allow(clippy::too_many_arguments, clippy::type_complexity, reason = "as above")]
    #[fusion(meta = fusion::vjp)]
    fn linear_attention_vjp(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        states: FloatTensor<Self>,
        products: FloatTensor<Self>,
        output_gradient: FloatTensor<Self>,
        memory_gradient: FloatTensor<Self>,
        settings: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Runs the kernel of the device that the tensors are on.
pub(super) fn kernel(problem: Problem) -> (Tensor<4>, LinearAttentionState) {
    let Problem { query, key, value, decay, resets, state, scale, normaliser: divisor } = problem;
    let (decay, resets, settings) = arguments(decay, resets, scale, &value);
    let (value, memory) = normaliser::join(value, state);
    let (output, memory) = Dispatch::linear_attention(
        query.into_dispatch(),
        key.into_dispatch(),
        value.into_dispatch(),
        decay.into_dispatch(),
        memory.into_dispatch(),
        resets.into_dispatch(),
        settings,
    );
    normaliser::part(Tensor::from_dispatch(output), Tensor::from_dispatch(memory), divisor)
}
