//! Rung 4: several sequences in one row, each with a state of its own.

use super::Case;
use burn::tensor::Tensor;
use seqzoo::ops::linear_attention::{LinearAttentionOptions, linear_attention_report};
use seqzoo::ops::{Form, Segments};
use seqzoo::parts::{SsdOptions, ssd};
use seqzoo_tests::ladder::segments::{Packed, Segmented, a_report_says_what_is_padded};
use seqzoo_tests::ladder::{Operator, returned};
use seqzoo_tests::operators::linear_attention::Kind;
use seqzoo_tests::operators::{Fading, LinearAttention, shape};
use seqzoo_tests::{Inputs, largest_error, plain, values};

seqzoo_tests::ladder!(segments, LinearAttention);

#[test]
fn a_report_names_padding() {
    a_report_says_what_is_padded::<LinearAttention>(|segments, form| {
        let options = LinearAttentionOptions { segments: Some(segments), form, ..Default::default() };
        linear_attention_report(43, &options, &plain()).to_string()
    });
}

/// What pads a segment has no query of zeros, which a normaliser without an epsilon would divide by.
#[test]
fn a_normaliser_may_have_an_epsilon_of_zero() {
    let kind = Kind { decay: Fading::Scalar, normalised: true };
    let mut packed = Packed::<LinearAttention>::random(kind, Segments::in_one_row([9, 2, 0, 5]), 3);
    packed.case.inputs.normaliser = Some(0.0);
    // From nothing, a first token sees itself alone: its query has a gradient of pure cancellation.
    let wanted = packed.outcome_one_by_one(Form::Naive);
    for form in LinearAttention::FORMS {
        packed.outcome(*form).assert_close(&wanted, 1e-10);
    }
}

#[test]
fn without_initial_states_every_segment_begins_with_zeros() {
    let kind = LinearAttention::KINDS[7];
    let mut packed = Packed::<LinearAttention>::random(kind, Segments::new(9, [[3, 6], [9, 0]]), 4);
    let zeros =
        LinearAttention::map_state(packed.case.state.clone().unwrap(), &mut seqzoo_tests::ladder::Times(0.0));
    for form in LinearAttention::FORMS {
        packed.case.state = Some(zeros.clone());
        let (output, state) = packed.run(&packed.case, *form);
        let wanted = returned::<LinearAttention>(&output, &state);
        packed.case.state = None;
        let (output, state) = packed.run(&packed.case, *form);
        returned::<LinearAttention>(&output, &state).assert_close(&wanted, 0.0);
    }
}

#[test]
#[should_panic(
    expected = "The argument `initial_state.memory` has the shape [3, 4, 5, 3], but [N, H, K, V] = [4, 4, 5, 3] is wanted."
)]
fn a_state_of_every_row_is_refused() {
    let case = Case::random(LinearAttention::KINDS[0], &shape(9), 1, &plain());
    let segments = Segments::new(9, [vec![9], vec![4, 5], vec![9]]);
    case.inputs.run_segments(segments, case.state.clone(), None, Form::Auto);
}

#[test]
fn mamba2_takes_segments() {
    let mut inputs = Inputs::new(3, &plain());
    let (x, dt) = (inputs.uniform([1, 9, 4, 3]), inputs.between([1, 9, 4], 0.1, 1.0));
    let (a, b, c) =
        (inputs.between([4], -1.0, 0.0), inputs.uniform([1, 9, 2, 5]), inputs.uniform([1, 9, 2, 5]));
    let states = inputs.uniform([2, 4, 5, 3]);
    let run = |from: usize, length: usize, options: SsdOptions| {
        let part = |tensor: &Tensor<4>| tensor.clone().narrow(1, from, length);
        ssd(part(&x), dt.clone().narrow(1, from, length), a.clone(), part(&b), part(&c), options)
    };
    let segments = Some(Segments::in_one_row([4, 5]));
    let (output, last) =
        run(0, 9, SsdOptions { segments, initial_state: Some(states.clone()), ..Default::default() });
    for (number, (from, length)) in [(0, 4), (4, 5)].into_iter().enumerate() {
        let initial_state = Some(states.clone().narrow(0, number, 1));
        let (wanted, state) = run(from, length, SsdOptions { initial_state, ..Default::default() });
        let found = output.clone().narrow(1, from, length);
        assert!(largest_error(&values(found), &values(wanted)) < 1e-12);
        assert!(largest_error(&values(last.clone().narrow(0, number, 1)), &values(state)) < 1e-12);
    }
}
