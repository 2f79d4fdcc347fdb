//! Rung 4: splits, steps, packing, causality and batch invariance.

use super::Case;
use seqzoo::ops::Form;
use seqzoo::ops::delta_rule::Beta;
use seqzoo_tests::ladder::{self, Operator};
use seqzoo_tests::operators::{DeltaRule, shape};
use seqzoo_tests::plain;

seqzoo_tests::ladder!(splits, DeltaRule);

#[test]
fn strengths_and_decays_may_have_fewer_heads_than_the_values() {
    ladder::splits::gates_may_have_fewer_heads_than_the_values::<DeltaRule>();
}

#[test]
#[should_panic(
    expected = "The argument `beta` has the shape [3, 4, 4], but [B, T, H] = [3, 9, 4] is wanted."
)]
fn a_wrong_shape_is_named() {
    let mut case = Case::random(DeltaRule::KINDS[0], &shape(9), 1, &plain());
    let Beta::Scalar(beta) = case.inputs.beta else { unreachable!() };
    case.inputs.beta = Beta::Scalar(beta.narrow(1, 0, 4));
    case.run(Form::Auto);
}
