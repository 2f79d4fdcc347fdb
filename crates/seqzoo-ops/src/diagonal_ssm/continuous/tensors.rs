//! In tensor operations, for gradients and for every backend.

use super::{ContinuousSsm, Discretisation, RealTransform};
use crate::Complex;
use burn::tensor::Tensor;

pub(super) fn discretised(
    parameters: ContinuousSsm,
    discretisation: Discretisation,
    real_transform: RealTransform,
) -> (Complex<2>, Complex<2>) {
    let ContinuousSsm { log_dt, a_real, a_imag, b, c } = parameters;
    let a = Complex::new(real_transform.apply(a_real).neg(), a_imag);
    let step = log_dt.exp().unsqueeze_dim::<2>(1); // [e, 1]
    let (eigenvalues, input) = discretise(discretisation, a, step);
    let mut weights = Complex::of_parts(c).map(|part| part.mul_scalar(2.0)).times(input);
    if let Some(b) = b {
        weights = weights.times(Complex::of_parts(b));
    }
    (eigenvalues, weights)
}

/// The eigenvalues `λ` and the factors `B̄/B` of a diagonal `A`, `a: [E, N]`, over steps `Δ`, `step: [E, 1]`.
///
/// Both are exact for small `ΔA`, too.
pub fn discretise(
    discretisation: Discretisation,
    a: Complex<2>,
    step: Tensor<2>,
) -> (Complex<2>, Complex<2>) {
    let scaled = a.clone().map(|part| part * step.clone());
    match discretisation {
        Discretisation::ZeroOrderHold => (scaled.clone().exp(), divide(exp_minus_one(scaled), a)),
        Discretisation::Bilinear => {
            let half = scaled.map(|part| part.div_scalar(2.0));
            let below = Complex::new(half.re.clone().neg().add_scalar(1.0), half.im.clone().neg());
            let inverse = below.reciprocal();
            let above = Complex::new(half.re.add_scalar(1.0), half.im);
            (above.times(inverse.clone()), inverse.map(|part| part * step.clone()))
        }
    }
}

/// `e^z − 1` for `Re z ≤ 0`, where `z` is small, too: with `e^x − 1 = tanh(x/2)(e^x + 1)` no term cancels another.
fn exp_minus_one(z: Complex<2>) -> Complex<2> {
    let length = z.re.clone().exp();
    let less = z.re.div_scalar(2.0).tanh() * length.clone().add_scalar(1.0);
    let half_sine = z.im.clone().div_scalar(2.0).sin();
    Complex::new(less * z.im.clone().cos() - half_sine.square().mul_scalar(2.0), length * z.im.sin())
}

/// `above / below`, where the square of `below` may be too small for a float.
fn divide(above: Complex<2>, below: Complex<2>) -> Complex<2> {
    // The quotient does not depend on the scale, and so has no gradient with respect to it.
    let scale = below.re.clone().abs().max_pair(below.im.clone().abs()).detach();
    let unit = below.map(|part| part / scale.clone());
    above.times(unit.reciprocal()).map(|part| part / scale.clone())
}
