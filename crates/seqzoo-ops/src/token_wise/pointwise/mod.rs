//! Functions of every number by itself.

mod kernel;

use super::runs_kernel;
use crate::form::Form;
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{Tensor, activation};

/// A function of one number, or of two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function {
    /// `silu(x) y`.
    SwiGlu,
    /// `elu(x) + 1`.
    EluPlusOne,
    /// `max(x, 0)²`.
    SquaredRelu,
    /// `max(scale ln σ(x), least)`.
    LogSigmoid {
        scale: f64,
        /// Minus infinity: no bound.
        least: f64,
    },
}

/// The gate of a feed-forward: `silu(x) ⊙ y` with `silu(x) = x σ(x)`.
///
/// `gate` and `up` have one shape, and so has the output. It is computed in `f32` or wider.
///
/// Source: Shazeer 2020, <https://arxiv.org/abs/2002.05202> (eq. 6).
///
/// # Panics
///
/// If the shapes differ, or a form is asked for that there is not.
#[track_caller]
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>, form: Form) -> Tensor<D> {
    assert_eq!(
        gate.dims(),
        up.dims(),
        "The arguments `gate` and `up` have different shapes, but one shape is wanted."
    );
    apply(Function::SwiGlu, gate, Some(up), form)
}

/// The feature map `elu(x) + 1`: `e^x` below 0, `x + 1` from there on.
///
/// Source: Katharopoulos et al. 2020, <https://arxiv.org/abs/2006.16236> (eq. 7).
///
/// # Panics
///
/// If a form is asked for that there is not.
#[track_caller]
pub fn elu_plus_one<const D: usize>(x: Tensor<D>, form: Form) -> Tensor<D> {
    apply(Function::EluPlusOne, x, None, form)
}

/// The feature map `max(x, 0)²`.
///
/// # Panics
///
/// If a form is asked for that there is not.
#[track_caller]
pub fn squared_relu<const D: usize>(x: Tensor<D>, form: Form) -> Tensor<D> {
    apply(Function::SquaredRelu, x, None, form)
}

/// A log decay from a logit: `max(scale ln σ(x), least)`, `ln σ(x) = −softplus(−x)`, without a bound where there is no
/// `least`. It is computed, and returned, in `f32` or wider.
///
/// Source: Yang et al. 2023, <https://arxiv.org/abs/2312.06635> (sec. 4.4; `scale` is 1/16 there).
///
/// # Panics
///
/// If a form is asked for that there is not.
#[track_caller]
pub fn log_sigmoid<const D: usize>(x: Tensor<D>, scale: f64, least: Option<f64>, form: Form) -> Tensor<D> {
    let wide = accumulator(x.dtype());
    let function = Function::LogSigmoid { scale, least: least.unwrap_or(f64::NEG_INFINITY) };
    apply(function, to_dtype(x, wide), None, form)
}

#[track_caller]
fn apply<const D: usize>(function: Function, x: Tensor<D>, y: Option<Tensor<D>>, form: Form) -> Tensor<D> {
    let dtype = x.dtype();
    let wide = accumulator(dtype);
    let kernel = runs_kernel(form, &x.device(), x.shape().num_elements());
    let (x, y) = (to_dtype(x, wide), y.map(|y| to_dtype(y, wide)));
    to_dtype(if kernel { kernel::run(function, x, y) } else { law(function, x, y) }, dtype)
}

/// The function in tensor operations.
fn law<const D: usize>(function: Function, x: Tensor<D>, y: Option<Tensor<D>>) -> Tensor<D> {
    match function {
        Function::SwiGlu => activation::silu(x) * y.expect("a function of two numbers has both"),
        Function::EluPlusOne => x.clone().clamp_max(0.0).exp() + activation::relu(x),
        Function::SquaredRelu => activation::relu(x).square(),
        Function::LogSigmoid { scale, least } => {
            let log = activation::log_sigmoid(x).mul_scalar(scale);
            if least == f64::NEG_INFINITY { log } else { log.clamp_min(least) }
        }
    }
}
