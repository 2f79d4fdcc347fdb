//! A seed fixes every parameter of a model.
//!
//! Alone in its process: Burn draws every tensor of a process from one seeded generator, so a draw of
//! another test would come between the seed and the model.

#[path = "models/small.rs"]
mod small;

use burn::tensor::{Int, Tensor};
use seqzoo_tests::plain;

#[test]
fn a_seed_fixes_every_parameter() {
    let device = plain();
    let tokens = Tensor::<2, Int>::from_ints([[1, 2, 3, 4]], &device);
    for pattern in small::patterns() {
        let logits = || small::model(pattern.clone(), &device).forward(tokens.clone(), None).0.into_data();
        assert_eq!(logits(), logits());
    }
}
