//! What the kernels of operators with an element-wise state share.

#[cfg(feature = "flex")]
pub(crate) mod cpu;
