//! Blocks of positions: what they take and return, and their backward on the tape.

mod blocks;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod fusion;
mod plain;

use super::Reduction;
use super::problem::{Problem, Rule};
use crate::kernel::Kernel;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use burn::backend::{
    Backend, Dispatch, DispatchDevice, ExtensionType, backend_extension, tensor::FloatTensor,
};
use burn::tensor::{Device, Tensor};

/// Logits of a block: 16 MB of them, in `f32`.
const LOGITS: usize = 1 << 22;
/// Positions of a block, at least: with fewer, the products spend their time on moving the weights.
const POSITIONS: usize = 512;

/// How many positions a block has.
pub(super) fn block(classes: usize) -> usize {
    (LOGITS / classes.max(1)).next_power_of_two().max(POSITIONS)
}

/// The kernel that this operator has on `device`.
pub(super) fn on(device: &Device) -> Option<Kernel> {
    Kernel::on(device).filter(|kernel| *kernel == Kernel::Cpu)
}

/// Whether `device` has the operator in blocks at all.
pub(super) fn has_blocks(device: &Device) -> bool {
    match device.clone().without_autodiff().as_dispatch() {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => true,
        #[cfg(feature = "cube")]
        DispatchDevice::Cube(_) => true,
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

/// The arguments of a call, in one dtype, `f32` or `f64`: all there, but for the bias. As gradients, those that are wanted.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    #[extension_type]
    pub hidden: Maybe<B>, // [n, d]
    #[extension_type]
    pub weight: Maybe<B>, // [d, v], or [v, d] of an embedding
    #[extension_type]
    pub bias: Maybe<B>, // [v]
    #[extension_type]
    pub classes: Maybe<B>, // [n], -1 where a position does not count
    #[extension_type]
    pub factors: Maybe<B>, // [n], of the losses in their sum
}
tensors!(Inputs[5]: ; maybe hidden, weight, bias, classes, factors);

/// What a call returns.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    pub losses: FloatTensor<B>, // [n], or their sum [1]
}
tensors!(Outputs[1]: losses);

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub rule: Rule,
    /// Whether the losses stay one by one. Their sum, with factors, has its gradients made in the forward pass.
    pub each: bool,
    /// Whether the weights are `[v, d]`.
    pub embedding: bool,
    /// Positions of a block.
    pub block: usize,
    /// Whether native code does what is between the products, where there is any.
    pub native: bool,
    pub wanted: Wanted,
}

/// Whose gradients are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub hidden: bool,
    pub weight: bool,
    pub bias: bool,
}

impl Settings {
    /// Notes which inputs have a gradient, by their places in [`Inputs`].
    fn wanting(self, has_gradient: impl Fn(usize) -> bool) -> Self {
        let [hidden, weight, bias] = [0, 1, 2].map(has_gradient);
        Self { wanted: Wanted { hidden, weight, bias }, ..self }
    }
}

/// Cross-entropy in blocks as backends implement it; what is here does so in tensor operations.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
)]
pub(crate) trait CrossEntropyBackend: Backend {
    /// The outputs alone; what autodiff records.
    #[fusion(meta = fusion::outputs)]
    fn cross_entropy(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    #[fusion(meta = fusion::forward)]
    fn cross_entropy_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of those inputs that want one, each in the shape of its tensor.
    #[fusion(meta = fusion::vjp)]
    fn cross_entropy_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

/// The gradients of a sum, or the arguments of losses one by one.
type Saved<B> = Inputs<B>;

on_tape!(
    CrossEntropy[5, 1]: CrossEntropyBackend { cross_entropy, cross_entropy_forward, cross_entropy_vjp },
    told by Settings::wanting
);

#[cfg(feature = "cube")]
impl CrossEntropyBackend for burn_cubecl::CubeBackend {
    fn cross_entropy(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        blocks::outputs::<Self, plain::Plain>(inputs, &settings)
    }

    fn cross_entropy_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        blocks::forward::<Self, plain::Plain>(inputs, &settings)
    }

    fn cross_entropy_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        blocks::vjp::<Self, plain::Plain>(saved, upstream, &settings)
    }
}

/// Runs the operator in blocks of so many positions on the device that the tensors are on.
pub(super) fn run(problem: Problem, block: usize, native: bool) -> Tensor<1> {
    let Problem { hidden, head, classes, factors, rule, reduction } = problem;
    let each = reduction == Reduction::Each;
    let Outputs { losses } = Dispatch::cross_entropy(
        Inputs {
            hidden: Maybe::Present(hidden.into_dispatch()),
            weight: Maybe::Present(head.weight.into_dispatch()),
            bias: Maybe::new(head.bias.map(Tensor::into_dispatch)),
            classes: Maybe::Present(classes.into_dispatch()),
            factors: Maybe::Present(factors.into_dispatch()),
        },
        Settings { rule, each, embedding: head.embedding, block, native, wanted: Wanted::default() },
    );
    Tensor::from_dispatch(losses)
}
