//! The operators as they climb the ladder: random inputs of every kind.

pub mod causal_conv;
pub mod complex;
pub mod decays;
pub mod delta_rule;
pub mod diagonal_ssm;
pub mod linear_attention;
pub mod linear_scan;
pub mod neural_memory;
pub mod selective_scan;
pub mod ttt;

pub use causal_conv::CausalConv;
pub use decays::Fading;
pub use delta_rule::DeltaRule;
pub use diagonal_ssm::DiagonalSsm;
pub use linear_attention::LinearAttention;
pub use linear_scan::{ComplexLinearScan, LinearScan};
pub use neural_memory::NeuralMemory;
pub use selective_scan::SelectiveScan;
pub use ttt::Ttt;

/// Extents of a case.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Shape {
    pub batch: usize,
    pub time: usize,
    pub key_heads: usize,
    pub heads: usize,
    pub key: usize,
    pub value: usize,
}

/// The usual awkward shape: three sequences, four value heads on two key heads, K != V.
pub fn shape(time: usize) -> Shape {
    Shape { batch: 3, time, key_heads: 2, heads: 4, key: 5, value: 3 }
}
