//! What the tests of seqzoo share: golden vectors, reproducible inputs, comparison, gradients, and the ladder of the
//! operators.

mod compare;
mod golden;
mod inputs;
pub mod ladder;
pub mod operators;
mod reference;
mod said;

pub use compare::{Outcome, largest_error, values};
pub use golden::Golden;
pub use inputs::{Inputs, autodiff, flags, plain};
pub use reference::ReferenceGradients;
pub use said::said;
pub use seqzoo::testing::double;

/// The programs in the README and in the book, compiled and run.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/src/introduction.md")]
    struct Introduction;
    #[doc = include_str!("../../docs/src/contract.md")]
    struct Contract;
    #[doc = include_str!("../../docs/src/models.md")]
    struct Models;
    #[doc = include_str!("../../docs/src/own_layer.md")]
    struct OwnLayer;
    #[doc = include_str!("../../docs/src/linear_attention.md")]
    struct LinearAttention;
    #[doc = include_str!("../../docs/src/delta_rule.md")]
    struct DeltaRule;
    #[doc = include_str!("../../docs/src/kernels.md")]
    struct Kernels;
}
