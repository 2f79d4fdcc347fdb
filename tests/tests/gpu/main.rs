//! The CubeCL kernels on the device that wgpu finds, against the law in `f64` on the CPU.
#![cfg(feature = "wgpu")]

#[path = "../operators/linear_attention/case.rs"]
mod case;
#[allow(dead_code, reason = "the CPU's tests ask for more")]
#[path = "../operators/decays.rs"]
mod decays;
mod delta_rule;
#[allow(dead_code, reason = "the CPU's tests ask for more")]
#[path = "../operators/delta_rule/case.rs"]
mod delta_rule_case;
mod linear_attention;
#[path = "../operators/shape.rs"]
mod shape;
mod transfer;
