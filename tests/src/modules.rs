//! Modules in `f64`, and the gradients of their parameters.

use crate::Outcome;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{FloatDType, Gradients, Tensor};

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

/// Records the gradient of every parameter under its path.
pub fn put_parameter_gradients<M: Module>(outcome: &mut Outcome, module: &M, gradients: &Gradients) {
    struct Put<'a> {
        outcome: &'a mut Outcome,
        gradients: &'a Gradients,
        path: Vec<String>,
    }
    impl ModuleVisitor for Put<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.outcome.put_gradient(&self.path.join("."), &parameter.val(), self.gradients);
        }
    }
    module.visit(&mut Put { outcome, gradients, path: Vec::new() });
}
