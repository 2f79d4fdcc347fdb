//! The fixed decays of retention.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// `ln γ_h` of every head, with `γ_h = 1 − 2^(−5−h)`.
///
/// Source: Sun et al. 2023, <https://arxiv.org/abs/2307.08621> (sec. 2.2).
pub(crate) fn retention_decay(heads: usize, dtype: DType, device: &Device) -> Tensor<1> {
    let logs: Vec<f64> = (0..heads).map(|head| (-(2f64.powi(-5 - head as i32))).ln_1p()).collect();
    Tensor::from_data(TensorData::new(logs, [heads]), (device, dtype))
}
