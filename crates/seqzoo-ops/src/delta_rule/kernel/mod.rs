#![doc = include_str!("README.md")]

#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod fusion;
#[cfg(feature = "cube")]
mod gpu;

#[cfg(feature = "flex")]
pub(crate) use cpu::GROUP;

use super::problem::Problem;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use crate::matrix_memory::kernel::Outputs;
use crate::segments::Segments;
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// The arguments of a call, in one dtype, `f32` or `f64`. `HK` and `HD` divide `H`.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    pub query: FloatTensor<B>, // [b, t, hk, k]
    pub key: FloatTensor<B>,   // [b, t, hk, k]
    pub value: FloatTensor<B>, // [b, t, h, v]
    pub beta: FloatTensor<B>,  // [b, t, h, 1] or [b, t, h, v]
    #[extension_type]
    pub decay: Maybe<B>, // [1, 1, h, 1], [b, t, hd, 1] or [b, t, hd, k]
    pub memory: FloatTensor<B>, // [b, h, k, v] or [n, h, k, v], before the first token
    #[extension_type]
    pub resets: Maybe<B>, // [b, t], 1 where the memory is cleared before the token and 0 elsewhere
}
tensors!(Inputs[7]: query, key, value, beta, memory; maybe decay, resets);

/// The tensors that the backward pass reads; the values themselves are not among them. Only the backend that made the
/// last four knows their layout.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Saved<B: Backend> {
    pub query: FloatTensor<B>,
    pub key: FloatTensor<B>,
    pub beta: FloatTensor<B>,
    #[extension_type]
    pub decay: Maybe<B>,
    #[extension_type]
    pub resets: Maybe<B>,
    /// The memories before the chunks.
    pub states: FloatTensor<B>,
    /// `r`: the difference between every value and what the memory holds under its key, `[b, t, h, v]`.
    pub differences: FloatTensor<B>,
    /// The products of queries with keys inside the chunks.
    pub products: FloatTensor<B>,
    /// The products of keys with keys inside the chunks.
    pub overlaps: FloatTensor<B>,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Multiplies the queries.
    pub scale: f64,
    /// Panic if some `β ‖k‖²` exceeds 2. GPU kernels ignore this: checking would force a synchronisation.
    pub bounded: bool,
    /// Segments, of which the memories are then. Only the kernel on the CPU is given any.
    pub segments: Option<Segments>,
}

/// The delta rule as backends with a kernel implement it.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
)]
pub(crate) trait DeltaRuleBackend: Backend {
    /// The outputs alone; what autodiff records.
    #[fusion(meta = fusion::outputs)]
    fn delta_rule(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    #[fusion(meta = fusion::forward)]
    fn delta_rule_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs, each in the shape of its tensor.
    #[fusion(meta = fusion::vjp)]
    fn delta_rule_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

on_tape!(DeltaRule[7, 2]: DeltaRuleBackend { delta_rule, delta_rule_forward, delta_rule_vjp });

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run(problem: Problem) -> (Tensor<4>, Tensor<4>) {
    let Problem { tokens, beta, bounded } = problem;
    let resets = tokens.resets_as_numbers();
    let settings = Settings { scale: tokens.scale, bounded, segments: tokens.segments };
    let Outputs { output, memory } = Dispatch::delta_rule(
        Inputs {
            query: tokens.query.into_dispatch(),
            key: tokens.key.into_dispatch(),
            value: tokens.value.into_dispatch(),
            beta: beta.into_dispatch(),
            decay: Maybe::new(tokens.decay.map(Tensor::into_dispatch)),
            memory: tokens.memory.into_dispatch(),
            resets: Maybe::new(resets.map(Tensor::into_dispatch)),
        },
        settings,
    );
    (Tensor::from_dispatch(output), Tensor::from_dispatch(memory))
}
