//! The gradients of what tokens bring, from what [`retreat`](super::retreat) leaves of them.

pub(super) mod gates;
pub(super) mod inputs;
pub(super) mod skips;
pub(super) mod steps;
