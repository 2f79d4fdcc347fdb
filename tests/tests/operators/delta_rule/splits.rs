//! Rung 4: splits, steps, packing, causality and batch invariance.

use super::case::{Case, KINDS, Shape, shape};
use burn::tensor::Tensor;
use seqzoo::ops::delta_rule::{Beta, Decay};
use seqzoo::ops::{Form, repeat_heads};
use seqzoo_tests::{autodiff, flags, plain};

const EXACT: f64 = 1e-10;

/// Runs the case in parts that end at `ends`, carrying the memory.
fn in_parts(case: &Case, ends: &[usize], form: Form) -> (Tensor<4>, Tensor<4>) {
    let mut outputs = Vec::new();
    let (mut from, mut memory) = (0, case.memory.clone());
    for end in ends {
        let (output, next) = case.part(from, *end, memory).output(form);
        outputs.push(output);
        memory = Some(next);
        from = *end;
    }
    (Tensor::cat(outputs, 1), memory.unwrap())
}

#[test]
fn every_split_gives_the_same_outputs_states_and_gradients() {
    for kind in KINDS {
        let case = Case::random(kind, &shape(40), 4, &autodiff());
        let wanted = case.clone().outcome(Form::Auto);
        for split in 1..40 {
            case.clone()
                .outcome_of(|case| in_parts(case, &[split, 40], Form::Auto))
                .assert_close(&wanted, EXACT);
        }
        for split in [1, 7, 8, 9, 39] {
            let chunked = Form::Chunked { size: 8 };
            case.clone()
                .outcome_of(|case| in_parts(case, &[split, 40], chunked))
                .assert_close(&wanted, EXACT);
        }
        let steps: Vec<usize> = (1..=40).collect();
        case.clone().outcome_of(|case| in_parts(case, &steps, Form::Auto)).assert_close(&wanted, EXACT);
    }
}

#[test]
fn single_tokens_without_a_tape_give_the_same() {
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(19), 4, &plain());
        case.resets = Some(flags(3, 19, &[0, 7], &plain()));
        let (wanted, last) = case.output(Form::Naive);
        let (output, memory) = in_parts(&case, &(1..=19).collect::<Vec<_>>(), Form::Auto);
        let error = |a: Tensor<4>, b: Tensor<4>| (a - b).abs().max().into_scalar::<f64>();
        assert!(error(output, wanted) < 1e-12 && error(memory, last) < 1e-12, "{kind:?}");
    }
}

#[test]
fn packed_sequences_equal_separate_ones() {
    let starts = [0, 1, 7, 8, 20, 33];
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(33), 6, &autodiff());
        case.memory = None;
        let mut packed = case.clone();
        packed.resets = Some(flags(3, 33, &starts, &autodiff()));
        let wanted = case.outcome_of(|case| {
            let parts: Vec<_> =
                starts.windows(2).map(|ends| case.part(ends[0], ends[1], None).output(Form::Naive)).collect();
            let memory = parts.last().unwrap().1.clone();
            (Tensor::cat(parts.into_iter().map(|(output, _)| output).collect(), 1), memory)
        });
        packed.clone().outcome(Form::Chunked { size: 16 }).assert_close(&wanted, EXACT);
        packed.clone().outcome(Form::Kernel).assert_close(&wanted, EXACT);
        packed.outcome(Form::Naive).assert_close(&wanted, EXACT);
    }
}

#[test]
fn a_token_changes_nothing_before_it() {
    for kind in KINDS {
        for time in [5, 40] {
            let case = Case::random(kind, &shape(time), 7, &plain());
            for changed in [1, time / 2, time - 1] {
                let other = case.clone().map(|x| {
                    let [b, tokens, h, d] = x.dims();
                    if tokens != time {
                        return x; // the memory, a fixed decay
                    }
                    let here = [0..b, changed..changed + 1, 0..h, 0..d];
                    let bumped = x.clone().narrow(1, changed, 1) * 0.5;
                    x.slice_assign(here, bumped)
                });
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
        let case = Case::random(kind, &shape(37), 8, &plain());
        let (all, _) = case.output(form);
        for row in 0..3 {
            let alone = case.row(row).output(form).0;
            assert_eq!(alone.into_data(), all.clone().narrow(0, row, 1).into_data(), "{kind:?} {form:?}");
        }
    }
}

#[test]
fn strengths_and_decays_may_have_fewer_heads_than_the_values() {
    let device = plain();
    for kind in KINDS {
        let mut few = Case::random(kind, &shape(20), 9, &device);
        let mut all = few.clone();
        (few.beta, all.beta) = match &few.beta {
            Beta::Scalar(beta) => {
                let beta = beta.clone().narrow(2, 0, 2);
                let spread = repeat_heads(beta.clone().unsqueeze_dim(3), 4).squeeze_dim(3);
                (Beta::Scalar(beta), Beta::Scalar(spread))
            }
            Beta::Vector(beta) => {
                let beta = beta.clone().narrow(2, 0, 2);
                (Beta::Vector(beta.clone()), Beta::Vector(repeat_heads(beta, 4)))
            }
        };
        if let Decay::Vector(log) = &few.decay {
            all.decay = Decay::Vector(repeat_heads(log.clone(), 4));
        }
        for form in [Form::Naive, Form::Chunked { size: 8 }, Form::Kernel] {
            assert_eq!(few.output(form).0.into_data(), all.output(form).0.into_data(), "{kind:?}");
        }
    }
}

#[test]
#[should_panic(
    expected = "The argument `beta` has the shape [3, 4, 4], but [B, T, H] = [3, 9, 4] is wanted."
)]
fn a_wrong_shape_is_named() {
    let mut case = Case::random(KINDS[0], &shape(9), 1, &plain());
    let Beta::Scalar(beta) = case.beta else { unreachable!() };
    case.beta = Beta::Scalar(beta.narrow(1, 0, 4));
    case.output(Form::Auto);
}

#[test]
#[should_panic(expected = "3 heads, which do not divide the 4 heads of `value`")]
fn heads_that_do_not_group_are_refused() {
    let shape = Shape { batch: 1, time: 3, key_heads: 3, heads: 4, key: 2, value: 2 };
    Case::random(KINDS[0], &shape, 1, &plain()).output(Form::Auto);
}
