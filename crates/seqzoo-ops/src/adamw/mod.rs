//! A step of AdamW: see [`adamw`].

mod kernel;

use crate::form::{Form, Forms, Report};
use crate::kernel::Kernel;
use burn::tensor::{DType, Device, Tensor};

/// The numbers of a step of [`adamw`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// The learning rate `η`.
    pub rate: f64,
    /// `β₁`.
    pub beta_1: f32,
    /// `β₂`.
    pub beta_2: f32,
    /// `ε`.
    pub epsilon: f32,
    /// The weight decay `λ`.
    pub weight_decay: f32,
    /// `t`, the number of this step, from 1.
    pub time: i32,
}

impl AdamWStep {
    /// `1 / (1 - β₁ᵗ)` and `1 / (1 - β₂ᵗ)`.
    fn corrections(&self) -> [f64; 2] {
        [self.beta_1, self.beta_2].map(|beta| 1.0 / f64::from(1.0 - beta.powi(self.time)))
    }

    /// `1 - η λ`.
    fn kept(&self) -> f64 {
        1.0 - self.rate * f64::from(self.weight_decay)
    }
}

/// What a step of [`adamw`] makes: the weights after it and the moments.
#[derive(Clone, Debug)]
pub struct AdamWResult<const D: usize> {
    /// `w`.
    pub weight: Tensor<D>,
    /// `m` and `v`.
    pub moments: [Tensor<D>; 2],
}

/// A step of AdamW.
///
/// ```text
/// m ← β₁ m + (1 − β₁) g        v ← β₂ v + (1 − β₂) g²
/// w ← (1 − η λ) w − η (m / (1 − β₁ᵗ)) / (sqrt(v / (1 − β₂ᵗ)) + ε)
/// ```
///
/// All tensors have one shape, and none of them is on a tape. Without `moments` they are zeros. The kernel works in the memory of
/// weights and moments where nobody else holds it.
///
/// Source: Loshchilov & Hutter 2017, <https://arxiv.org/abs/1711.05101> (algorithm 2).
///
/// # Panics
///
/// If shapes differ, or a form is asked for that there is not: this operator has `Parallel`, in tensor operations, and `Kernel`.
#[track_caller]
pub fn adamw<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<D>,
    moments: Option<[Tensor<D>; 2]>,
    step: AdamWStep,
    form: Form,
) -> AdamWResult<D> {
    let shape = |argument, tensor: &Tensor<D>| {
        assert_eq!(
            tensor.dims(),
            weight.dims(),
            "The argument `{argument}` has another shape than `weight`, but one shape is wanted."
        );
    };
    shape("gradient", &gradient);
    let moments = moments.unwrap_or_else(|| [weight.zeros_like(), weight.zeros_like()]);
    moments.iter().for_each(|moment| shape("moments", moment));
    let (device, dtype) = (weight.device(), weight.dtype());
    let kernels = matches!(dtype, DType::F32 | DType::F64) && gradient.dtype() == dtype;
    match adamw_report(form, &device).kernel {
        Some(_) if kernels && weight.shape().num_elements() > 0 => {
            kernel::run(weight, gradient, moments, step)
        }
        _ => law(weight, gradient, moments, step),
    }
}

/// Which form [`adamw`] takes on `device`, and why.
///
/// # Panics
///
/// If the form asked for cannot be had.
#[track_caller]
pub fn adamw_report(form: Form, device: &Device) -> Report {
    let kernel = Kernel::on(device).filter(|kernel| *kernel == Kernel::Cpu);
    form.resolve(2, &Forms::parallel(kernel))
}

/// The formula in tensor operations.
fn law<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<D>,
    [first, second]: [Tensor<D>; 2],
    step: AdamWStep,
) -> AdamWResult<D> {
    let first = first.mul_scalar(step.beta_1) + gradient.clone().mul_scalar(1.0 - step.beta_1);
    let second = second.mul_scalar(step.beta_2) + gradient.square().mul_scalar(1.0 - step.beta_2);
    let [of_first, of_second] = step.corrections();
    let root = second.clone().mul_scalar(of_second).sqrt().add_scalar(step.epsilon);
    let change = first.clone().mul_scalar(of_first) / root;
    let weight = weight.mul_scalar(step.kept()) - change.mul_scalar(step.rate);
    AdamWResult { weight, moments: [first, second] }
}
