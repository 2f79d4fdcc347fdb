//! Rung 4: several sequences in one row, each with a memory of its own.

use super::Case;
use burn::tensor::Tensor;
use seqzoo::ops::delta_rule::{Beta, Decay, DeltaRuleOptions, Keys, delta_rule_report, gated_delta_product};
use seqzoo::ops::{Form, Segment, Segments};
use seqzoo_tests::ladder::Operator;
use seqzoo_tests::ladder::segments::{Segmented, a_report_says_what_is_padded};
use seqzoo_tests::operators::delta_rule::unit;
use seqzoo_tests::operators::{DeltaRule, shape};
use seqzoo_tests::{Inputs, flags, largest_error, plain, said, values};

seqzoo_tests::ladder!(segments, DeltaRule);

#[test]
fn a_report_names_padding() {
    a_report_says_what_is_padded::<DeltaRule>(|segments, form| {
        let options = DeltaRuleOptions { segments: Some(segments), form, ..Default::default() };
        delta_rule_report(43, &options, &plain()).to_string()
    });
}

#[test]
#[should_panic(
    expected = "The argument `initial_state` has the shape [3, 4, 5, 3], but [N, H, K, V] = [4, 4, 5, 3] is wanted."
)]
fn a_memory_of_every_row_is_refused() {
    let case = Case::random(DeltaRule::KINDS[0], &shape(9), 1, &plain());
    let segments = Segments::new(9, [vec![9], vec![4, 5], vec![9]]);
    case.inputs.run_segments(segments, case.state.clone(), None, Form::Auto);
}

#[test]
fn keys_that_are_too_long_are_refused_in_segments() {
    let mut case = Case::random(DeltaRule::KINDS[0], &shape(9), 1, &plain());
    case.inputs.key = case.inputs.key * 3.0;
    case.inputs.keys = Keys::Bounded;
    for form in DeltaRule::FORMS {
        let segments = Segments::new(9, [[4, 5], [2, 7], [9, 0]]);
        let refused = said(|| case.inputs.run_segments(segments, None, None, *form));
        assert!(refused.contains("The argument `key` has a token with beta"), "{refused}");
    }
}

#[test]
fn a_product_of_steps_takes_segments_of_tokens() {
    let device = plain();
    let mut inputs = Inputs::new(5, &device);
    let steps = 3;
    let (query, key) = (inputs.uniform([2, 9, 2, 4]), unit(inputs.uniform([2, 9 * steps, 2, 4])));
    let (value, beta) = (inputs.uniform([2, 9 * steps, 2, 3]), inputs.between([2, 9 * steps, 2], 0.0, 2.0));
    let decay = inputs.between([2, 9, 2], -1.0, 0.0);
    let resets = flags(2, 9, &[1, 6], &device);
    let segments = Segments::new(9, [vec![2, 0, 7], vec![5, 4]]);
    let memories = inputs.uniform([segments.count(), 2, 4, 3]);
    for form in DeltaRule::FORMS {
        let options = DeltaRuleOptions { form: *form, ..Default::default() };
        let (output, last) = gated_delta_product(
            query.clone(),
            key.clone(),
            value.clone(),
            Beta::Scalar(beta.clone()),
            Decay::Scalar(decay.clone()),
            steps,
            DeltaRuleOptions {
                initial_state: Some(memories.clone()),
                resets: Some(resets.clone()),
                segments: Some(segments.clone()),
                ..options.clone()
            },
        );
        for (number, Segment { row, start, length }) in segments.all().iter().copied().enumerate() {
            let initial = memories.clone().narrow(0, number, 1);
            let found = last.clone().narrow(0, number, 1);
            if length == 0 {
                assert_eq!(found.into_data(), initial.into_data());
                continue;
            }
            let part = |tensor: &Tensor<4>, steps: usize| {
                tensor.clone().narrow(0, row, 1).narrow(1, start * steps, length * steps)
            };
            let (wanted, memory) = gated_delta_product(
                part(&query, 1),
                part(&key, steps),
                part(&value, steps),
                Beta::Scalar(beta.clone().narrow(0, row, 1).narrow(1, start * steps, length * steps)),
                Decay::Scalar(decay.clone().narrow(0, row, 1).narrow(1, start, length)),
                steps,
                DeltaRuleOptions {
                    initial_state: Some(initial),
                    resets: Some(resets.clone().narrow(0, row, 1).narrow(1, start, length)),
                    ..options.clone()
                },
            );
            let output = part(&output, 1);
            assert!(largest_error(&values(output), &values(wanted)) < 1e-12, "{form:?}");
            assert!(largest_error(&values(found), &values(memory)) < 1e-12, "{form:?}");
        }
    }
}

#[test]
fn segments_of_steps_are_refused_by_a_product() {
    let zeros = |time| Tensor::<4>::zeros([1, time, 1, 2], &plain());
    let options = DeltaRuleOptions { segments: Some(Segments::in_one_row([3, 3])), ..Default::default() };
    let beta = Beta::Scalar(Tensor::zeros([1, 6, 1], &plain()));
    let refused = said(|| gated_delta_product(zeros(3), zeros(6), zeros(6), beta, Decay::None, 2, options));
    assert!(
        refused.contains("The argument `segments` has 6 tokens in every row, but T = 3 are wanted."),
        "{refused}"
    );
}
