//! Named results of a computation, and how far two of them are apart.

use burn::tensor::{Gradients, Tensor, TensorData};
use std::collections::BTreeMap;

/// `max|a - b| / max|b|`, or `max|a - b|` where `b` is all zeros.
pub fn largest_error(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len(), "the two tensors differ in size");
    let scale = wanted.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
    let mut error = 0.0f64;
    for (a, b) in found.iter().zip(wanted) {
        // A comparison with NaN is false, so NaN must not pass through `max`.
        let difference = (a - b).abs();
        assert!(difference.is_finite(), "found {a} where {b} was wanted");
        error = error.max(difference);
    }
    if scale == 0.0 { error } else { error / scale }
}

/// The numbers of a tensor.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().expect("the tensor holds floats")
}

/// Named tensors: outputs, states and gradients of one computation.
#[derive(Clone, Debug, Default)]
pub struct Outcome(BTreeMap<String, Vec<f64>>);

impl Outcome {
    /// Records `tensor` under `name`.
    pub fn put<const D: usize>(&mut self, name: &str, tensor: &Tensor<D>) {
        self.put_data(name, tensor.to_data());
    }

    /// Records the gradient of `tensor` under `d_{name}`; zeros where nothing flowed into it.
    pub fn put_gradient<const D: usize>(&mut self, name: &str, tensor: &Tensor<D>, gradients: &Gradients) {
        let gradient = tensor.grad(gradients).unwrap_or_else(|| tensor.clone().inner().zeros_like());
        self.put_data(&format!("d_{name}"), gradient.into_data());
    }

    fn put_data(&mut self, name: &str, data: TensorData) {
        let values = data.convert::<f64>().try_to_vec().expect("the tensor holds floats");
        self.0.insert(name.to_string(), values);
    }

    /// The values under `name`.
    pub fn values(&self, name: &str) -> &[f64] {
        &self.0[name]
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// These and those of `other`.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// `max|a - b|` over all tensors.
    pub fn largest_difference(&self, wanted: &Self) -> f64 {
        let pairs = wanted.0.iter().flat_map(|(name, wanted)| self.0[name].iter().zip(wanted));
        pairs.fold(0.0, |largest, (a, b)| {
            let difference = (a - b).abs();
            assert!(difference.is_finite(), "found {a} where {b} was wanted");
            largest.max(difference)
        })
    }

    /// Asserts that both outcomes have the same names and agree within `tolerance` of each tensor's
    /// largest element.
    #[track_caller]
    pub fn assert_close(&self, wanted: &Self, tolerance: f64) {
        assert!(self.0.keys().eq(wanted.0.keys()), "the two outcomes name different tensors");
        for (name, values) in &wanted.0 {
            let error = largest_error(&self.0[name], values);
            assert!(error <= tolerance, "`{name}` differs by {error:e}, more than {tolerance:e}");
        }
    }
}
