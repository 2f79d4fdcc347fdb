//! Modules in `f64`.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{FloatDType, Tensor};

/// `module` with every parameter in `f64`, still recording gradients.
pub fn double<M: Module>(module: M) -> M {
    struct Double;
    impl ModuleMapper for Double {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            parameter.map(|tensor| {
                if !tensor.is_autodiff() {
                    return tensor.cast(FloatDType::F64);
                }
                tensor.inner().cast(FloatDType::F64).autodiff().require_grad()
            })
        }
    }
    module.map(&mut Double)
}
