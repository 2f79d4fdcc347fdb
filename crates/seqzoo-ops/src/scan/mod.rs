//! What the operators with an element-wise state share: `h_t = a_t h_{t-1} + x_t`, real or complex.

pub(crate) mod doubling;
#[cfg(feature = "cube")]
pub(crate) mod kernel;
pub(crate) mod reset;
