//! Rung 5: no steps, steps far too large, and sequences of any length and place.

use super::{Case, FORMS};
use burn::tensor::{DType, FloatDType, Tensor};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use seqzoo::ops::Form;
use seqzoo::ops::ttt::{Residual, TttState};
use seqzoo_tests::ladder::Operator;
use seqzoo_tests::operators::ttt::Kind;
use seqzoo_tests::operators::{Shape, Ttt};
use seqzoo_tests::{Inputs, autodiff, largest_error, plain, values};

const KINDS: [Kind; 3] = [
    Kind { depth: 1, chunk: 8, write: false, residual: Residual::Answer },
    Kind { depth: 2, chunk: 8, write: true, residual: Residual::Query },
    Kind { depth: 3, chunk: 5, write: true, residual: Residual::Answer },
];

#[test]
fn steps_of_exactly_0_among_others_have_values_and_gradients() {
    for kind in KINDS {
        let mut case = Case::random(kind, &Ttt::shape(29), 6, &autodiff()).with_resets(3, 0.1);
        let mut random = Inputs::new(5, &autodiff());
        let mut some_zeros = |step: Tensor<3>| {
            let zeros = random.uniform(step.dims()).lower_scalar(0.0);
            step.mask_fill(zeros, 0.0)
        };
        let steps = &mut case.inputs.steps;
        steps.read = some_zeros(steps.read.clone());
        steps.write = steps.write.take().map(some_zeros);
        let wanted = case.clone().outcome(Form::Naive);
        for form in FORMS {
            case.clone().outcome(form).assert_close(&wanted, 1e-10);
        }
    }
}

#[test]
fn single_precision_is_as_good_as_its_type() {
    for kind in KINDS {
        let case = Case::random(kind, &Ttt::shape(100), 6, &autodiff()).cast(FloatDType::F32);
        let wanted = case.clone().cast(FloatDType::F64).outcome(Form::Naive);
        for form in FORMS {
            case.clone().outcome(form).assert_close(&wanted, 5e-5);
        }
    }
}

/// Factors that are 10^300 at `which` of `count`.
fn wild(count: usize, which: usize) -> Tensor<1> {
    let factors: Vec<f64> = (0..count).map(|index| if index == which { 1e300 } else { 1.0 }).collect();
    Tensor::from_data(factors.as_slice(), (&plain(), DType::F64))
}

#[test]
fn a_sequence_whose_steps_are_huge_leaves_its_neighbours_alone() {
    for form in FORMS {
        for kind in KINDS {
            let case = Case::random(kind, &Ttt::shape(60), 6, &plain());
            let wanted = case.run(form).0;
            let mut other = case.clone();
            other.inputs.steps.read = other.inputs.steps.read * wild(3, 1).reshape([3, 1, 1]);
            let found = other.run(form).0;
            let row = |x: &Tensor<4>, row| values(x.clone().narrow(0, row, 1));
            assert_ne!(row(&found, 1), row(&wanted, 1), "{kind:?} {form:?}");
            assert_eq!(row(&found, 0), row(&wanted, 0), "{kind:?} {form:?}");
            assert_eq!(row(&found, 2), row(&wanted, 2), "{kind:?} {form:?}");
        }
    }
}

#[test]
fn a_head_whose_steps_are_huge_leaves_its_neighbours_alone() {
    for form in FORMS {
        let case = Case::random(KINDS[1], &Ttt::shape(60), 6, &plain());
        let wanted = case.run(form).0;
        let mut other = case.clone();
        other.inputs.steps.read = other.inputs.steps.read * wild(4, 2).reshape([1, 1, 4]);
        let found = other.run(form).0;
        let head = |x: &Tensor<4>, head| values(x.clone().narrow(2, head, 1));
        assert_ne!(head(&found, 2), head(&wanted, 2), "{form:?}");
        for calm in [0, 1, 3] {
            assert_eq!(head(&found, calm), head(&wanted, calm), "{form:?}");
        }
    }
}

#[test]
fn a_reset_ends_what_huge_steps_have_done() {
    for form in FORMS {
        let mut case = Case::random(KINDS[1], &Ttt::shape(40), 6, &plain()).with_resets_at(&[30]);
        let fast = case.inputs.steps.read.clone().narrow(1, 0, 30).mul_scalar(1e300);
        case.inputs.steps.read = Tensor::cat(vec![fast, case.inputs.steps.read.narrow(1, 30, 10)], 1);
        let (output, state) = case.run(form);
        let (wanted, last) = case.part(30, 40, None).run(form);
        assert!(largest_error(&values(output.narrow(1, 30, 10)), &values(wanted)) < 1e-12, "{form:?}");
        let weights = |state: &TttState| values(state.model.weights[0].clone());
        assert!(largest_error(&weights(&state), &weights(&last)) < 1e-12, "{form:?}");
    }
}

#[test]
fn any_shape_gives_the_same_in_any_blocks() {
    let drawn = (
        // Of two channels a norm leaves next to nothing but rounding.
        (1usize..4, 1usize..40, 1usize..3, 1usize..3, 3usize..7),
        (1usize..5, 1usize..20, any::<bool>(), any::<bool>()),
        0u32..6,
        prop::sample::select(vec![0.0, 0.1, 0.9]),
        any::<u64>(),
    );
    let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::with_cases(32) };
    let result = TestRunner::new(config).run(&drawn, |(extents, kind, log_size, rate, seed)| {
        let (batch, time, key_heads, group, key) = extents;
        let extents = Shape { batch, time, key_heads, heads: key_heads * group, key, value: key };
        let (depth, chunk, write, query) = kind;
        let residual = if query { Residual::Query } else { Residual::Answer };
        let kind = Kind { depth, chunk, write, residual };
        let case = Case::random(kind, &extents, seed, &autodiff()).with_resets(seed, rate);
        let wanted = case.clone().outcome(Form::Naive);
        case.outcome(Form::Chunked { size: 1 << log_size }).assert_close(&wanted, 1e-9);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_single_channel_learns_nothing() {
    // The norm of one channel is its offset, whatever the answer is.
    for form in FORMS {
        let extents = Shape { key: 1, value: 1, ..Ttt::shape(9) };
        let case = Case { state: None, ..Case::random(KINDS[0], &extents, 6, &plain()) };
        let mut frozen = case.clone();
        frozen.inputs.steps.read = frozen.inputs.steps.read.zeros_like();
        assert_eq!(values(case.run(form).0), values(frozen.run(form).0), "{form:?}");
    }
}

#[test]
fn sixty_five_thousand_tokens_stay_exact() {
    let (time, tail) = (65_536, 1_024);
    for (depth, chunk) in [(1, 64), (2, 32)] {
        let extents = Shape { batch: 1, time, key_heads: 1, heads: 1, key: 4, value: 4 };
        let kind = Kind { depth, chunk, ..KINDS[1] };
        let case = Case { state: None, ..Case::random(kind, &extents, 1, &plain()) };
        let (_, middle) = case.part(0, time - tail, None).run(Form::Auto);
        let (part, last) = case.part(time - tail, time, Some(middle)).run(Form::Naive);
        let (whole, state) = case.run(Form::Auto);
        let error = largest_error(&values(whole.narrow(1, time - tail, tail)), &values(part));
        assert!(error < 1e-9, "{depth} layers: {error:e}");
        let weights = |state: &TttState| values(state.model.weights[0].clone());
        assert!(largest_error(&weights(&state), &weights(&last)) < 1e-9, "{depth} layers");
        let largest = weights(&state).into_iter().fold(0.0, |max: f64, x| max.max(x.abs()));
        assert!((1e-3..1e3).contains(&largest), "{depth} layers: the weights have come to {largest:e}");
    }
}

#[test]
fn sequences_stand_anywhere_in_their_chunks() {
    for kind in KINDS {
        let mut case = Case::random(kind, &Ttt::shape(29), 6, &autodiff());
        let mut state = case.state.unwrap();
        state.position = Tensor::<1>::from_floats([0.0, 3.0, 4.0], &autodiff()).cast(FloatDType::F64);
        case.state = Some(state);
        let wanted = case.clone().outcome(Form::Naive);
        for form in FORMS {
            case.clone().outcome(form).assert_close(&wanted, 1e-10);
            let (whole, last) = case.run(form);
            for row in 0..3 {
                let alone = case.row(row);
                let state = alone.state.clone().map(|state| TttState {
                    position: case.state.clone().unwrap().position.narrow(0, row, 1),
                    ..state
                });
                let (output, state) = alone.inputs.run(state, None, form);
                let wanted = whole.clone().narrow(0, row, 1);
                assert!(largest_error(&values(output), &values(wanted)) < 1e-13, "{kind:?} {form:?}");
                let place = last.places()[row];
                assert_eq!(state.places(), [place], "{kind:?} {form:?}");
                assert_eq!(place, ([0, 3, 4][row] + 29) % kind.chunk);
            }
        }
    }
}

#[test]
fn half_precision_keeps_its_state_in_f32() {
    let case = Case::random(KINDS[1], &Ttt::shape(20), 6, &plain()).cast(FloatDType::BF16);
    let (output, state) = case.run(Form::Auto);
    assert_eq!((output.dtype(), state.model.weights[0].dtype()), (DType::BF16, DType::F32));
    assert_eq!((state.gradients.biases[1].dtype(), state.position.dtype()), (DType::F32, DType::F32));
}
