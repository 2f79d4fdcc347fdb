#![doc = include_str!("README.md")]

#[cfg(feature = "flex")]
mod cpu;
mod question;
mod sequences;
mod softmax;

pub(super) use question::Question;
pub(super) use sequences::Sequences;
pub(super) use softmax::run;

use crate::kernel::Kernel;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use burn::backend::{Backend, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::{Bool, Device, Tensor};
use std::sync::Arc;

/// The kernel that this operator has on `device`.
pub(super) fn on(device: &Device) -> Option<Kernel> {
    Kernel::on(device).filter(|kernel| *kernel == Kernel::Cpu)
}

/// The arguments of a call, in one dtype, `f32` or `f64`. There are entries of tokens, or of a cache, or both.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    pub query: FloatTensor<B>, // [b, t, h, k]
    #[extension_type]
    pub key: Maybe<B>, // [b, t, hk, k]
    #[extension_type]
    pub value: Maybe<B>, // [b, t, hk, v]
    #[extension_type]
    pub log_decay: Maybe<B>, // [b, t, h, 1]
    #[extension_type]
    pub cached_keys: Maybe<B>, // [n, s, hk, k]
    #[extension_type]
    pub cached_values: Maybe<B>, // [n, s, hk, v]
    #[extension_type]
    pub cached_log_decays: Maybe<B>, // [n, s, h, 1]
}
tensors!(Inputs[7]: query; maybe key, value, log_decay, cached_keys, cached_values, cached_log_decays);

#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    pub output: FloatTensor<B>,  // [b, t, h, v]
    pub log_sum: FloatTensor<B>, // [b, t, h], the logarithm of the sum of the exponentials of the scores
}
tensors!(Outputs[2]: output, log_sum);

/// What the backward pass reads.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Saved<B: Backend> {
    #[extension_type]
    pub inputs: Inputs<B>,
    pub output: FloatTensor<B>,
    pub most: FloatTensor<B>, // [b, t, h], the largest score, as a logarithm to the base 2
    pub share: FloatTensor<B>, // [b, t, h], 1 by the sum of the exponentials of scores less the largest
}

/// Tokens that see each other, and the entries of the cache that they see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// The row of the tokens, and the first of them.
    pub row: usize,
    pub start: usize,
    pub tokens: usize,
    /// The row of the cache, and the first entry of it that is seen, as all later ones are.
    pub cache_row: usize,
    pub cache_start: usize,
    pub cached: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub scale: f64,
    pub bidirectional: bool,
    pub window: Option<usize>,
    /// All sequences; they cover all tokens.
    pub sequences: Arc<[Sequence]>,
    /// For landmark attention, which keys of every sequence are landmarks, counted from its first key.
    pub landmarks: Option<Arc<[Vec<usize>]>>,
}

/// Softmax attention as backends with a kernel implement it.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Autodiff,
)]
pub(crate) trait AttentionBackend: Backend {
    /// The outputs alone; what autodiff records.
    fn attention_kernel(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    fn attention_kernel_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs, each in the shape of its tensor.
    fn attention_kernel_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

on_tape!(Attention[7, 2]: AttentionBackend {
    attention_kernel, attention_kernel_forward, attention_kernel_vjp
});

/// Whether the kernel takes a cache of which this is visible: what is hidden lies before all that is not.
pub(super) fn takes(visible: &Tensor<2, Bool>) -> bool {
    let [_, length] = visible.dims();
    let flags: Vec<bool> = visible.to_data().iter().collect();
    length == 0 || flags.chunks_exact(length).all(|row| row.is_sorted())
}
