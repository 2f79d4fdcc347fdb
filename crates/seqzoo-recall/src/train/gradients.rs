//! Scaling the gradients of all parameters, by their common norm or by a number.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Scales all gradients so that their common norm is at most `max`.
pub(super) fn clip<M: Module>(module: &M, gradients: GradientsParams, max: f64) -> GradientsParams {
    let mut squares = Squares { gradients: &gradients, sum: None };
    module.visit(&mut squares);
    let Some(sum) = squares.sum else { return gradients };
    let factor = sum.sqrt().add_scalar(1e-6).recip().mul_scalar(max).clamp_max(1.0);
    scaled(module, gradients, factor)
}

/// All gradients times `factor`.
pub(super) fn scaled<M: Module>(
    module: &M,
    gradients: GradientsParams,
    factor: Tensor<1>,
) -> GradientsParams {
    let mut scale = Scale { gradients, factor };
    module.visit(&mut scale);
    scale.gradients
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
            let square = gradient.square().sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scale {
    gradients: GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(parameter.id) {
            self.gradients.register(parameter.id, gradient * self.factor.clone().unsqueeze::<D>());
        }
    }
}
