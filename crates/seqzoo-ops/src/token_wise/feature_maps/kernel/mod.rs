//! The kernel: what it takes and returns, and its backward on the tape.

#[cfg(feature = "flex")]
mod cpu;

use super::Map;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::tensors;
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// The arguments of a call, in `f32` or `f64`.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    pub x: FloatTensor<B>, // [rows, channels]
}
tensors!(Inputs[1]: x);

/// What a call returns.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    pub features: FloatTensor<B>, // [rows, features]
}
tensors!(Outputs[1]: features);

type Settings = Map;
type Saved<B> = Inputs<B>;

/// Feature maps as backends with a kernel implement them. The backward pass reads the arguments alone.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Autodiff,
)]
pub(crate) trait FeatureMapBackend: Backend {
    /// The features alone; what autodiff records.
    fn feature_map(#[extension_type] inputs: Inputs<Self>, map: Map) -> Outputs<Self>;

    fn feature_map_forward(#[extension_type] inputs: Inputs<Self>, map: Map) -> (Outputs<Self>, Saved<Self>);

    /// The gradient of the channels.
    fn feature_map_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        map: Map,
    ) -> Inputs<Self>;
}

on_tape!(FeatureMap[1, 1]: FeatureMapBackend { feature_map, feature_map_forward, feature_map_vjp });

/// Runs the kernel of the device that the tensor is on.
pub(super) fn run(map: Map, x: Tensor<2>) -> Tensor<2> {
    let Outputs { features } = Dispatch::feature_map(Inputs { x: x.into_dispatch() }, map);
    Tensor::from_dispatch(features)
}
