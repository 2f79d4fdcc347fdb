//! The kernel: what it takes and returns, and its backward on the tape.

#[cfg(feature = "flex")]
mod cpu;

use super::Map;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// Maps of one call to the backend.
const AT_ONCE: usize = 4;

/// The arguments of a call, in one dtype, `f32` or `f64`.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    pub input: FloatTensor<B>, // [r, d]
    #[extension_type]
    pub weight_0: Maybe<B>, // [d, f], and so are the others
    #[extension_type]
    pub weight_1: Maybe<B>,
    #[extension_type]
    pub weight_2: Maybe<B>,
    #[extension_type]
    pub weight_3: Maybe<B>,
    #[extension_type]
    pub bias_0: Maybe<B>, // [f], and so are the others
    #[extension_type]
    pub bias_1: Maybe<B>,
    #[extension_type]
    pub bias_2: Maybe<B>,
    #[extension_type]
    pub bias_3: Maybe<B>,
}
tensors!(Inputs[9]: input; maybe weight_0, weight_1, weight_2, weight_3, bias_0, bias_1, bias_2, bias_3);

/// What a call returns.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    #[extension_type]
    pub output_0: Maybe<B>, // [r, f], and so are the others
    #[extension_type]
    pub output_1: Maybe<B>,
    #[extension_type]
    pub output_2: Maybe<B>,
    #[extension_type]
    pub output_3: Maybe<B>,
}
tensors!(Outputs[4]: ; maybe output_0, output_1, output_2, output_3);

type Settings = ();
type Saved<B> = Inputs<B>;

/// Linear maps as backends with a kernel implement them. The backward pass reads the arguments alone.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Autodiff,
)]
pub(crate) trait LinearBackend: Backend {
    /// The outputs alone; what autodiff records.
    fn linear_maps(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    fn linear_maps_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs.
    fn linear_maps_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

on_tape!(Linear[9, 4]: LinearBackend { linear_maps, linear_maps_forward, linear_maps_vjp });

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run<const N: usize>(input: Tensor<2>, maps: [Map; N]) -> [Tensor<2>; N] {
    let mut outputs = Vec::with_capacity(N);
    let mut maps = maps.into_iter().peekable();
    while maps.peek().is_some() {
        let mut weights = [const { Maybe::Absent }; AT_ONCE];
        let mut biases = [const { Maybe::Absent }; AT_ONCE];
        for (index, Map { weight, bias }) in maps.by_ref().take(AT_ONCE).enumerate() {
            weights[index] = Maybe::Present(weight.into_dispatch());
            biases[index] = Maybe::new(bias.map(Tensor::into_dispatch));
        }
        let [weight_0, weight_1, weight_2, weight_3] = weights;
        let [bias_0, bias_1, bias_2, bias_3] = biases;
        let input = input.clone().into_dispatch();
        let Outputs { output_0, output_1, output_2, output_3 } = Dispatch::linear_maps(
            Inputs { input, weight_0, weight_1, weight_2, weight_3, bias_0, bias_1, bias_2, bias_3 },
            (),
        );
        let found = [output_0, output_1, output_2, output_3].into_iter();
        outputs.extend(found.filter_map(Maybe::into_option).map(Tensor::<2>::from_dispatch));
    }
    outputs.try_into().expect("there is an output per map")
}
