//! Root-mean-square normalisation, with what stands beside it in a model.

mod kernel;

use super::runs_kernel;
use crate::checks;
use crate::form::Form;
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{Tensor, activation};

/// The activation of a gate before it multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum GateActivation {
    /// `silu(g) = g σ(g)`, what most layers have.
    #[default]
    Silu,
    /// `σ(g)`, as in Kimi delta attention.
    Sigmoid,
}

/// Options of [`rms_norm`].
#[derive(Clone, Debug)]
pub struct RmsNormOptions<const D: usize> {
    /// `ε`, added to the mean of squares.
    pub epsilon: f64,
    /// A gate after the norm, of the input's shape, and its activation.
    pub gate: Option<(Tensor<D>, GateActivation)>,
    /// How to compute it: this operator has the forms `Parallel` and `Kernel`.
    pub form: Form,
}

/// Root-mean-square normalisation over the last axis, and what is multiplied with it.
///
/// ```text
/// y = γ ⊙ x / sqrt(mean(x²) + ε)  [ ⊙ act(g) ]
/// ```
///
/// It is computed in `f32` or wider; the output has the dtype of the input.
///
/// # Shapes
///
/// `x`, `g` and `y` are `[.., D]`, `γ` is `[D]`.
///
/// Source: Zhang & Sennrich 2019, <https://arxiv.org/abs/1910.07467> (eq. 4).
///
/// # Panics
///
/// If the channels differ, the gate has another shape, or a form is asked for that there is not.
#[track_caller]
pub fn rms_norm<const D: usize>(input: Tensor<D>, gamma: Tensor<1>, options: RmsNormOptions<D>) -> Tensor<D> {
    checks::channels("input", input.dims()[D - 1], gamma.dims()[0]);
    let RmsNormOptions { epsilon, gate, form } = options;
    if let Some((gate, _)) = &gate {
        assert_eq!(
            gate.dims(),
            input.dims(),
            "The argument `gate` has another shape than `input`, but one shape is wanted."
        );
    }
    let dtype = input.dtype();
    let wide = accumulator(dtype);
    let kernel = runs_kernel(form, &input.device(), input.shape().num_elements());
    let (input, gamma) = (to_dtype(input, wide), to_dtype(gamma, wide));
    let gate = gate.map(|(gate, activation)| (to_dtype(gate, wide), activation));
    let output = match kernel {
        true => kernel::run(input, gamma, epsilon, gate),
        false => law(input, gamma, epsilon, gate),
    };
    to_dtype(output, dtype)
}

/// Vectors of unit length, over the last axis: queries and keys of the delta rule.
///
/// ```text
/// y = x / sqrt(Σ x² + ε)
/// ```
///
/// That is [`rms_norm`] with `γ = 1 / √D` and `ε / D`, and is computed so. The output has the shape and the dtype of `x`.
///
/// Source: Yang et al. 2024, <https://arxiv.org/abs/2406.06484> (sec. 3.3, the L2 norm of queries and keys).
///
/// # Panics
///
/// If a form is asked for that there is not.
#[track_caller]
pub fn unit_length<const D: usize>(input: Tensor<D>, epsilon: f64, form: Form) -> Tensor<D> {
    let channels = input.dims()[D - 1];
    let count = channels as f64;
    let gamma = Tensor::full([channels], count.sqrt().recip(), (&input.device(), accumulator(input.dtype())));
    rms_norm(input, gamma, RmsNormOptions { epsilon: epsilon / count, gate: None, form })
}

/// The formula in tensor operations.
fn law<const D: usize>(
    input: Tensor<D>,
    gamma: Tensor<1>,
    epsilon: f64,
    gate: Option<(Tensor<D>, GateActivation)>,
) -> Tensor<D> {
    let root = input.clone().square().mean_dim(D - 1).add_scalar(epsilon).sqrt();
    let normed = input / root * gamma.unsqueeze();
    match gate {
        None => normed,
        Some((gate, GateActivation::Silu)) => normed * activation::silu(gate),
        Some((gate, GateActivation::Sigmoid)) => normed * activation::sigmoid(gate),
    }
}
