//! A zoo of efficient sequence-model layers for Burn.
pub use seqzoo_ops as ops;
