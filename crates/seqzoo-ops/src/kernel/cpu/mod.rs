//! Vectors and small matrix products, for kernels on Burn's Flex backend.
#![allow(unsafe_code, reason = "kernels index unchecked after one check, and share outputs between tasks")]

pub(crate) mod buffer;
pub(crate) mod channels;
pub(crate) mod functions;
pub(crate) mod lanes;
pub(crate) mod large_product;
pub(crate) mod matrix;
pub(crate) mod prefetch;

pub(crate) mod dot;
pub(crate) mod output;
#[cfg(test)]
pub(crate) mod processor_kinds;
pub(crate) mod product;
pub(crate) mod queue;
pub(crate) mod relay;
pub(crate) mod tensors;
pub(crate) mod transpose;
pub(crate) mod vectorized;
