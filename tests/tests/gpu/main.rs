//! The CubeCL kernels on the device that wgpu finds, against the law in `f64` on the CPU.
#![cfg(feature = "wgpu")]

mod delta_rule;
mod linear_attention;
mod linear_scan;
mod neural_memory;
mod selective_scan;

/// The device under test, recording gradients.
fn gpu() -> burn::tensor::Device {
    burn::tensor::Device::wgpu(Default::default()).autodiff()
}
