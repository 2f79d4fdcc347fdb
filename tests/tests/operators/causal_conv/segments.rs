//! Several sequences in one row, each with a state of its own.

use seqzoo::ops::causal_conv::{CausalConvOptions, causal_conv_report};
use seqzoo::ops::{Form, Segments};
use seqzoo_tests::ladder::segments::{Segmented, a_report_says_what_is_padded};
use seqzoo_tests::ladder::{Case, Operator};
use seqzoo_tests::operators::CausalConv;
use seqzoo_tests::plain;

seqzoo_tests::ladder!(segments, CausalConv);

#[test]
fn a_report_names_padding() {
    a_report_says_what_is_padded::<CausalConv>(|segments, form| {
        let options = CausalConvOptions { segments: Some(segments), form, ..Default::default() };
        causal_conv_report(43, &options, &plain()).to_string()
    });
}

#[test]
#[should_panic(
    expected = "The argument `initial_state` has the shape [3, 3, 19], but [N, W - 1, D] = [4, 3, 19] is wanted."
)]
fn a_state_of_every_row_is_refused() {
    let case = Case::<CausalConv>::random(false, &CausalConv::shape(9), 1, &plain());
    let segments = Segments::new(9, [vec![9], vec![4, 5], vec![9]]);
    case.inputs.run_segments(segments, case.state.clone(), None, Form::Auto);
}
