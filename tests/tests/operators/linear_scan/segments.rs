//! Several sequences in one row, each with a state of its own.

use burn::tensor::{DType, Tensor};
use seqzoo::ops::linear_scan::{Factor, LinearScanOptions, linear_scan, linear_scan_report};
use seqzoo::ops::{Form, Segments};
use seqzoo_tests::ladder::segments::{Segmented, a_report_says_what_is_padded};
use seqzoo_tests::ladder::{Case, Operator};
use seqzoo_tests::operators::LinearScan;
use seqzoo_tests::{autodiff, flags, plain, values};

mod real {
    seqzoo_tests::ladder!(segments, seqzoo_tests::operators::LinearScan);
}

mod complex {
    seqzoo_tests::ladder!(segments, seqzoo_tests::operators::ComplexLinearScan);
}

#[test]
fn a_report_names_padding() {
    a_report_says_what_is_padded::<LinearScan>(|segments, form| {
        let options = LinearScanOptions::<Tensor<2>> { segments: Some(segments), form, ..Default::default() };
        linear_scan_report(43, &options, &plain()).to_string()
    });
}

#[test]
#[should_panic(
    expected = "The argument `initial_state` has the shape [3, 19], but [N, D] = [4, 19] is wanted."
)]
fn a_state_of_every_row_is_refused() {
    let case = Case::<LinearScan>::random(LinearScan::KINDS[0], &LinearScan::shape(9), 1, &plain());
    let segments = Segments::new(9, [vec![9], vec![4, 5], vec![9]]);
    case.inputs.run_segments(segments, case.state.clone(), None, Form::Auto);
}

/// Over 400 tokens a factor of 10 leaves every float: behind a short segment nothing may grow. Resets keep the long one
/// within bounds.
#[test]
fn what_pads_a_segment_does_not_grow() {
    let device = autodiff();
    let factor = Tensor::<1>::from_data([10.0], (&device, DType::F64)).require_grad();
    let mut input = vec![0.0; 404];
    input[0] = 1.0;
    let input = Tensor::<1>::from_data(input.as_slice(), (&device, DType::F64)).reshape([1, 404, 1]);
    for form in LinearScan::FORMS {
        let segments = Some(Segments::in_one_row([3, 401]));
        let resets = Some(flags(1, 404, &(5..404).step_by(5).collect::<Vec<_>>(), &device));
        let options = LinearScanOptions { segments, resets, form: *form, ..Default::default() };
        let (states, last) = linear_scan(input.clone(), Factor::PerChannel(factor.clone()), options);
        assert_eq!(values(last.clone()), [100.0, 0.0]);
        let gradients = (states.sum() + last.sum()).backward();
        assert_eq!(values(factor.grad(&gradients).unwrap()), [1.0 + 2.0 * 20.0]);
    }
}
