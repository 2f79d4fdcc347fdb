//! The CubeCL kernels on the device that wgpu finds, against the law in `f64` on the CPU.
#![cfg(feature = "wgpu")]

#[path = "../operators/linear_attention/case.rs"]
mod case;
mod linear_attention;
mod transfer;
