//! Vectors and small matrix products, for kernels on Burn's Flex backend.
#![allow(unsafe_code, reason = "kernels index unchecked after one check, and share outputs between tasks")]

pub(crate) mod ahead;
pub(crate) mod buffer;
pub(crate) mod exponential;
pub(crate) mod lanes;
pub(crate) mod matrix_memory;
#[cfg(test)]
pub(crate) mod processors;
pub(crate) mod product;
pub(crate) mod rows;
pub(crate) mod sums;
pub(crate) mod transpose;
pub(crate) mod vectorized;
