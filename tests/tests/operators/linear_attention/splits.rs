//! Rung 4: splits, steps, packing, causality and batch invariance.

use super::Case;
use seqzoo::ops::Form;
use seqzoo_tests::ladder::{self, Operator};
use seqzoo_tests::operators::{LinearAttention, shape};
use seqzoo_tests::plain;

seqzoo_tests::ladder!(splits, LinearAttention);

#[test]
fn a_decay_may_have_fewer_heads_than_the_values() {
    ladder::splits::gates_may_have_fewer_heads_than_the_values::<LinearAttention>();
}

#[test]
#[should_panic(
    expected = "The argument `key` has the shape [3, 4, 2, 5], but [B, T, HK, K] = [3, 9, 2, 5] is wanted."
)]
fn a_wrong_shape_is_named() {
    let mut case = Case::random(LinearAttention::KINDS[0], &shape(9), 1, &plain());
    case.inputs.key = case.inputs.key.narrow(1, 0, 4);
    case.run(Form::Auto);
}

#[test]
#[should_panic(expected = "`initial_state.key_sum` is absent")]
fn a_normaliser_wants_the_key_sum() {
    let mut case = Case::random(LinearAttention::KINDS[0], &shape(3), 1, &plain());
    case.inputs.normaliser = Some(1e-6);
    case.run(Form::Auto);
}
