//! Rung 4: splits, steps, packing, causality and batch invariance.

use super::case::{Case, KINDS, Kind, Shape, shape};
use burn::tensor::Tensor;
use seqzoo::ops::linear_attention::{Decay, LinearAttentionState};
use seqzoo::ops::{Form, repeat_heads};
use seqzoo_tests::{autodiff, flags, plain};

const EXACT: f64 = 1e-10;

/// Runs the case in parts that end at `ends`, carrying the state.
fn in_parts(case: &Case, ends: &[usize], form: Form) -> (Tensor<4>, LinearAttentionState) {
    let mut outputs = Vec::new();
    let (mut from, mut state) = (0, case.state.clone());
    for end in ends {
        let (output, next) = case.part(from, *end, state).output(form);
        outputs.push(output);
        state = Some(next);
        from = *end;
    }
    (Tensor::cat(outputs, 1), state.unwrap())
}

#[test]
fn every_split_gives_the_same_outputs_states_and_gradients() {
    for kind in KINDS {
        for normalised in [false, true] {
            let case = Case::random(kind, &shape(40), normalised, 4, &autodiff());
            let wanted = case.clone().outcome(Form::Auto);
            // Within one chunk, and across several that the splits cut anywhere.
            for form in [Form::Auto, Form::Chunked { size: 8 }] {
                for split in 1..40 {
                    let parts = case.clone().outcome_of(|case| in_parts(case, &[split, 40], form));
                    parts.assert_close(&wanted, EXACT);
                }
            }
            let steps: Vec<usize> = (1..=40).collect();
            case.clone().outcome_of(|case| in_parts(case, &steps, Form::Auto)).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn packed_sequences_equal_separate_ones() {
    let starts = [0, 1, 7, 8, 20, 33];
    for kind in KINDS {
        for normalised in [false, true] {
            let mut case = Case::random(kind, &shape(33), normalised, 6, &autodiff());
            case.state = None;
            let mut packed = case.clone();
            packed.resets = Some(flags(3, 33, &starts, &autodiff()));
            let wanted = case.outcome_of(|case| {
                let parts: Vec<_> = starts
                    .windows(2)
                    .map(|ends| case.part(ends[0], ends[1], None).output(Form::Naive))
                    .collect();
                let state = parts.last().unwrap().1.clone();
                (Tensor::cat(parts.into_iter().map(|(output, _)| output).collect(), 1), state)
            });
            packed.clone().outcome(Form::Chunked { size: 16 }).assert_close(&wanted, EXACT);
            packed.clone().outcome(Form::Kernel).assert_close(&wanted, EXACT);
            packed.outcome(Form::Naive).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn a_token_changes_nothing_before_it() {
    for kind in KINDS {
        for time in [5, 40] {
            let case = Case::random(kind, &shape(time), false, 7, &plain());
            for changed in [1, time / 2, time - 1] {
                let mut other = case.clone();
                let bump = |x: &Tensor<4>| {
                    let [b, _, h, d] = x.dims();
                    x.clone().slice_assign(
                        [0..b, changed..changed + 1, 0..h, 0..d],
                        x.clone().narrow(1, changed, 1) + 1.0,
                    )
                };
                (other.query, other.key, other.value) =
                    (bump(&case.query), bump(&case.key), bump(&case.value));
                other.decay = match &case.decay {
                    Decay::Scalar(log) => {
                        Decay::Scalar(bump(&log.clone().unsqueeze_dim(3).neg()).squeeze_dim(3).neg())
                    }
                    Decay::Vector(log) => Decay::Vector(bump(&log.clone().neg()).neg()),
                    same => same.clone(),
                };
                for form in [Form::Naive, Form::Chunked { size: 16 }, Form::Kernel] {
                    let before = |case: &Case| case.output(form).0.narrow(1, 0, changed).into_data();
                    assert_eq!(before(&case), before(&other), "{kind:?} {form:?}, token {changed}");
                }
            }
        }
    }
}

#[test]
fn a_sequence_does_not_depend_on_its_neighbours_in_the_batch() {
    for (kind, form) in
        KINDS.into_iter().flat_map(|kind| [(kind, Form::Chunked { size: 64 }), (kind, Form::Kernel)])
    {
        let case = Case::random(kind, &shape(37), true, 8, &plain());
        let (all, _) = case.output(form);
        for row in 0..3 {
            let pick = |x: &Tensor<4>| x.clone().narrow(0, row, 1);
            let mut alone = case.clone();
            (alone.query, alone.key, alone.value) = (pick(&case.query), pick(&case.key), pick(&case.value));
            alone.decay = match &case.decay {
                seqzoo::ops::linear_attention::Decay::Scalar(log) => {
                    seqzoo::ops::linear_attention::Decay::Scalar(log.clone().narrow(0, row, 1))
                }
                seqzoo::ops::linear_attention::Decay::Vector(log) => {
                    seqzoo::ops::linear_attention::Decay::Vector(pick(log))
                }
                other => other.clone(),
            };
            alone.state = case.state.as_ref().map(|state| LinearAttentionState {
                memory: pick(&state.memory),
                key_sum: state.key_sum.as_ref().map(|sum| sum.clone().narrow(0, row, 1)),
            });
            assert_eq!(alone.output(form).0.into_data(), pick(&all).into_data(), "{kind:?} {form:?}");
        }
    }
}

#[test]
#[should_panic(
    expected = "The argument `key` has the shape [3, 4, 2, 5], but [B, T, HK, K] = [3, 9, 2, 5] is wanted."
)]
fn a_wrong_shape_is_named() {
    let mut case = Case::random(KINDS[0], &shape(9), false, 1, &plain());
    case.key = case.key.narrow(1, 0, 4);
    case.output(Form::Auto);
}

#[test]
#[should_panic(expected = "3 heads, which do not divide the 4 heads of `value`")]
fn heads_that_do_not_group_are_refused() {
    let shape = Shape { batch: 1, time: 3, key_heads: 3, heads: 4, key: 2, value: 2 };
    Case::random(KINDS[0], &shape, false, 1, &plain()).output(Form::Auto);
}

#[test]
#[should_panic(expected = "`initial_state.key_sum` is absent")]
fn a_normaliser_wants_the_key_sum() {
    let mut case = Case::random(KINDS[0], &shape(3), false, 1, &plain());
    case.normaliser = Some(1e-6);
    case.output(Form::Auto);
}

#[test]
fn a_decay_may_have_fewer_heads_than_the_values() {
    let device = plain();
    for kind in [Kind::Scalar, Kind::Vector] {
        let mut few = Case::random(kind, &shape(20), false, 9, &device);
        let mut all = few.clone();
        (few.decay, all.decay) = match &few.decay {
            Decay::Scalar(log) => {
                let log = log.clone().narrow(2, 0, 2);
                let spread = repeat_heads(log.clone().unsqueeze_dim(3), 4).squeeze_dim(3);
                (Decay::Scalar(log), Decay::Scalar(spread))
            }
            Decay::Vector(log) => (Decay::Vector(log.clone()), Decay::Vector(repeat_heads(log.clone(), 4))),
            _ => unreachable!(),
        };
        for form in [Form::Naive, Form::Chunked { size: 8 }, Form::Kernel] {
            assert_eq!(few.output(form).0.into_data(), all.output(form).0.into_data(), "{kind:?}");
        }
    }
}
