//! Rung 2: the chunked form and the kernel are the recurrence, in values, states and all gradients.

use super::Case;
use seqzoo::ops::{Form, repeat_heads};
use seqzoo_tests::operators::linear_attention::Kind;
use seqzoo_tests::operators::{Fading, LinearAttention, shape};
use seqzoo_tests::{autodiff, ladder};

ladder!(forms, LinearAttention);

#[test]
fn a_decay_per_key_head_serves_its_group_of_value_heads() {
    let kind = Kind { decay: Fading::Vector, normalised: false };
    let case = Case::random(kind, &shape(11), 1, &autodiff());
    let mut expanded = case.clone();
    expanded.inputs.query = repeat_heads(case.inputs.query.clone(), 4);
    expanded.inputs.key = repeat_heads(case.inputs.key.clone(), 4);
    case.returned(Form::Auto).assert_close(&expanded.returned(Form::Auto), 0.0);
}
