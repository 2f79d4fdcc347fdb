//! Rung 5: gates exactly 0 and 1, steps that diverge, sequences of any length.

use super::{Case, FORMS, FORMS_WITH_SURPRISE};
use burn::tensor::{DType, FloatDType, Tensor};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use seqzoo::ops::Form;
use seqzoo::ops::neural_memory::{NeuralMemoryOptions, NeuralMemoryState, neural_memory};
use seqzoo_tests::ladder::Operator;
use seqzoo_tests::operators::neural_memory::{Kind, by_heads};
use seqzoo_tests::operators::{NeuralMemory, Shape, shape};
use seqzoo_tests::{Inputs, autodiff, largest_error, plain, values};

const KINDS: [Kind; 3] =
    [Kind { depth: 1, chunk: 8 }, Kind { depth: 2, chunk: 8 }, Kind { depth: 3, chunk: 5 }];

/// Gates that are exactly 0 or 1 at most tokens.
fn with_extreme_gates(mut case: Case) -> Case {
    let mut random = Inputs::new(5, &autodiff());
    let gates = &mut case.inputs.gates;
    for gate in [&mut gates.forget, &mut gates.momentum] {
        let drawn = random.uniform(gate.dims());
        let zeros = drawn.clone().lower_scalar(-0.3);
        let ones = drawn.greater_scalar(0.3);
        *gate = gate.clone().mask_fill(zeros, 0.0).mask_fill(ones, 1.0);
    }
    case
}

#[test]
fn gates_of_exactly_0_and_1_have_values_and_gradients() {
    for kind in KINDS {
        let case = with_extreme_gates(Case::random(kind, &shape(29), 6, &autodiff())).with_resets(3, 0.1);
        let wanted = case.clone().outcome(Form::Naive);
        for form in FORMS {
            case.clone().outcome(form).assert_close(&wanted, 1e-10);
        }
    }
}

#[test]
fn single_precision_is_as_good_as_its_type() {
    for kind in KINDS {
        let case = Case::random(kind, &shape(100), 6, &autodiff()).cast(FloatDType::F32);
        let wanted = case.clone().cast(FloatDType::F64).outcome(Form::Naive);
        for form in FORMS {
            case.clone().outcome(form).assert_close(&wanted, 5e-5);
        }
    }
}

#[test]
fn a_memory_that_diverges_leaves_its_neighbours_alone() {
    for form in FORMS {
        for kind in KINDS {
            let case = Case::random(kind, &shape(60), 6, &plain());
            let wanted = case.run(form).0;
            let mut wild = case.clone();
            // The second sequence learns 10^60 times too fast.
            let factors =
                Tensor::<1>::from_floats([1.0, 1e30, 1.0], &plain()).cast(FloatDType::F64).reshape([3, 1, 1]);
            let factors = factors.square();
            wild.inputs.gates.step = wild.inputs.gates.step * factors;
            let found = wild.run(form).0;
            let row = |x: &Tensor<4>, row| values(x.clone().narrow(0, row, 1));
            assert!(row(&found, 1).iter().any(|x| !x.is_finite()), "{kind:?} {form:?}: it diverges");
            assert_eq!(row(&found, 0), row(&wanted, 0), "{kind:?} {form:?}");
            assert_eq!(row(&found, 2), row(&wanted, 2), "{kind:?} {form:?}");
        }
    }
}

#[test]
fn a_head_that_diverges_leaves_its_neighbours_alone() {
    for form in FORMS {
        let case = Case::random(KINDS[1], &shape(60), 6, &plain());
        let wanted = case.run(form).0;
        let mut wild = case.clone();
        let factors = Tensor::<1>::from_floats([1.0, 1.0, 1e30, 1.0], &plain()).cast(FloatDType::F64);
        wild.inputs.gates.step = wild.inputs.gates.step * factors.square().reshape([1, 1, 4]);
        let found = wild.run(form).0;
        let head = |x: &Tensor<4>, head| values(x.clone().narrow(2, head, 1));
        assert!(head(&found, 2).iter().any(|x| !x.is_finite()), "{form:?}: it diverges");
        for calm in [0, 1, 3] {
            assert_eq!(head(&found, calm), head(&wanted, calm), "{form:?}");
        }
    }
}

/// Chunks of several blocks, of a block and some tokens, and of a strip of one.
#[test]
fn long_chunks_have_the_same_gradients_in_all_forms() {
    for (depth, chunk) in [(1, 17), (1, 65), (3, 64), (2, 150)] {
        let extents = Shape { batch: 2, time: 160, key_heads: 1, heads: 2, key: 5, value: 4 };
        let mut case = Case::random(Kind { depth, chunk }, &extents, 6, &autodiff()).with_resets(3, 0.01);
        let state = case.state.as_mut().unwrap();
        state.position = Tensor::<1>::from_floats([3.0, 16.0], &autodiff()).cast(FloatDType::F64);
        // Longer chunks add up more steps.
        case.inputs.gates.step = (case.inputs.gates.step * 0.2).detach().require_grad();
        let wanted = case.clone().outcome(Form::Naive);
        for form in [Form::Kernel, Form::Chunked { size: 32 }] {
            case.clone().outcome(form).assert_close(&wanted, 1e-9);
        }
    }
}

/// The kernel works on one head after another in the same buffers.
#[test]
fn gradients_of_a_head_that_diverges_leave_its_neighbours_alone() {
    let gradients = |case: Case| {
        let query = case.inputs.query.clone().require_grad();
        let key = case.inputs.key.clone().require_grad();
        let step = case.inputs.gates.step.clone().require_grad();
        let mut case = case;
        (case.inputs.query, case.inputs.key, case.inputs.gates.step) =
            (query.clone(), key.clone(), step.clone());
        let output = case.run(Form::Kernel).0;
        let broken = output.clone().is_nan();
        let loss = output.mask_fill(broken, 0.0).clamp(-1e3, 1e3).sum();
        let found = loss.backward();
        [values(query.grad(&found).unwrap()), values(key.grad(&found).unwrap())]
    };
    let extents = Shape { batch: 1, time: 60, key_heads: 4, heads: 4, key: 5, value: 3 };
    let case = Case::random(KINDS[1], &extents, 6, &autodiff());
    let wanted = gradients(case.clone());
    let mut wild = case;
    let factors = Tensor::<1>::from_floats([1.0, 1e30, 1.0, 1.0], &autodiff()).cast(FloatDType::F64);
    wild.inputs.gates.step = (wild.inputs.gates.step * factors.square().reshape([1, 1, 4])).detach();
    for (found, wanted) in gradients(wild).iter().zip(&wanted) {
        let head = |numbers: &[f64], head: usize| -> Vec<f64> {
            numbers.chunks(5).skip(head).step_by(4).flatten().copied().collect()
        };
        assert!(head(found, 1).iter().any(|x| !x.is_finite()) || head(found, 1) != head(wanted, 1));
        for calm in [0, 2, 3] {
            assert_eq!(head(found, calm), head(wanted, calm));
        }
    }
}

#[test]
fn a_residual_memory_has_the_same_gradients_in_all_forms() {
    for depth in [1, 2] {
        let extents = Shape { value: 5, ..shape(13) };
        let mut case = Case::random(Kind { depth, chunk: 4 }, &extents, 6, &autodiff()).with_resets(4, 0.1);
        case.inputs.residual = true;
        let wanted = case.clone().outcome(Form::Naive);
        for form in FORMS {
            case.clone().outcome(form).assert_close(&wanted, 1e-10);
        }
    }
}

#[test]
fn any_shape_gives_the_same_in_any_blocks() {
    let drawn = (
        (1usize..4, 1usize..100, 1usize..3, 1usize..3, 1usize..6, 1usize..6),
        (1usize..5, 1usize..90),
        0u32..6,
        prop::sample::select(vec![0.0, 0.1, 0.9]),
        any::<u64>(),
    );
    let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::with_cases(32) };
    let result = TestRunner::new(config).run(&drawn, |(extents, (depth, chunk), log_size, rate, seed)| {
        let (batch, time, key_heads, group, key, value) = extents;
        let extents = Shape { batch, time, key_heads, heads: key_heads * group, key, value };
        let case = Case::random(Kind { depth, chunk }, &extents, seed, &autodiff()).with_resets(seed, rate);
        let wanted = case.clone().outcome(Form::Naive);
        case.clone().outcome(Form::Chunked { size: 1 << log_size }).assert_close(&wanted, 1e-9);
        case.outcome(Form::Kernel).assert_close(&wanted, 1e-9);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn surprise_is_the_same_in_all_forms() {
    let mut case = Case::random(KINDS[1], &shape(29), 6, &plain()).with_resets(3, 0.1);
    let mut state = case.state.take().unwrap();
    state.position = Tensor::<1>::from_floats([0.0, 3.0, 4.0], &plain()).cast(FloatDType::F64);
    let run = |form| {
        let NeuralMemory { query, key, value, gates, weights, chunk, .. } = case.inputs.clone();
        let (initial_state, resets) = (Some(state.clone()), case.resets.clone());
        let options =
            NeuralMemoryOptions { initial_state, chunk, surprise: true, resets, form, ..Default::default() };
        let weights = weights.into_iter().map(|weights| by_heads(weights, 4)).collect();
        let surprise = neural_memory(query, key, value, gates, weights, options).1.surprise.unwrap();
        [values(surprise.loss), values(surprise.gradient_norm)]
    };
    let wanted = run(Form::Naive);
    for form in FORMS_WITH_SURPRISE {
        for (found, wanted) in run(form).iter().zip(&wanted) {
            assert!(largest_error(found, wanted) < 1e-12, "{form:?}");
        }
    }
}

#[test]
fn a_reset_ends_a_divergence() {
    for form in FORMS {
        let mut case = Case::random(KINDS[1], &shape(40), 6, &plain()).with_resets_at(&[30]);
        let fast = case.inputs.gates.step.clone().narrow(1, 0, 30).mul_scalar(1e60);
        case.inputs.gates.step = Tensor::cat(vec![fast, case.inputs.gates.step.narrow(1, 30, 10)], 1);
        let (output, state) = case.run(form);
        let (wanted, last) = case.part(30, 40, None).run(form);
        assert!(largest_error(&values(output.narrow(1, 30, 10)), &values(wanted)) < 1e-12, "{form:?}");
        assert!(largest_error(&values(state.weights[0].clone()), &values(last.weights[0].clone())) < 1e-12);
    }
}

#[test]
fn sixty_five_thousand_tokens_stay_exact() {
    let (time, tail) = (65_536, 1_024);
    for (depth, chunk) in [(1, 64), (2, 32)] {
        let extents = Shape { batch: 1, time, key_heads: 1, heads: 1, key: 4, value: 4 };
        let mut case = Case::random(Kind { depth, chunk }, &extents, 1, &plain());
        case.state = None;
        let gates = &mut case.inputs.gates;
        // Where less is learned than forgotten, a deep memory dies: of two matrices near zero neither learns.
        (gates.forget, gates.step) = (gates.forget.clone() * 1e-5, gates.step.clone() * 0.1);
        let (_, middle) = case.part(0, time - tail, None).run(Form::Auto);
        let (part, last) = case.part(time - tail, time, Some(middle)).run(Form::Naive);
        let (whole, state) = case.run(Form::Auto);
        let error = largest_error(&values(whole.narrow(1, time - tail, tail)), &values(part));
        assert!(error < 1e-9, "{depth} layers: {error:e}");
        assert!(largest_error(&values(state.weights[0].clone()), &values(last.weights[0].clone())) < 1e-9);
        let largest = values(state.weights[0].clone()).into_iter().fold(0.0, |max: f64, x| max.max(x.abs()));
        assert!(largest > 1e-3, "{depth} layers: the memory has died down to {largest:e}");
    }
}

#[test]
fn sequences_stand_anywhere_in_their_chunks() {
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(29), 6, &autodiff());
        let mut state = case.state.unwrap();
        state.position = Tensor::<1>::from_floats([0.0, 3.0, 4.0], &autodiff()).cast(FloatDType::F64);
        case.state = Some(state);
        let wanted = case.clone().outcome(Form::Naive);
        for form in FORMS {
            case.clone().outcome(form).assert_close(&wanted, 1e-10);
            let (whole, last) = case.run(form);
            for row in 0..3 {
                let alone = case.row(row);
                let state = alone.state.clone().map(|state| NeuralMemoryState {
                    position: case.state.clone().unwrap().position.narrow(0, row, 1),
                    ..state
                });
                let (output, state) = alone.inputs.run(state, None, form);
                let wanted = whole.clone().narrow(0, row, 1);
                assert!(largest_error(&values(output), &values(wanted)) < 1e-13, "{kind:?} {form:?}");
                let place = values(last.position.clone())[row];
                assert_eq!(values(state.position), [place], "{kind:?} {form:?}");
                assert_eq!(place as usize, ([0, 3, 4][row] + 29) % kind.chunk);
            }
        }
    }
}

#[test]
fn half_precision_keeps_its_state_in_f32() {
    let case = Case::random(KINDS[1], &shape(20), 6, &plain()).cast(FloatDType::BF16);
    let (output, state) = case.run(Form::Auto);
    assert_eq!((output.dtype(), state.weights[0].dtype()), (DType::BF16, DType::F32));
    assert_eq!((state.momentum[1].dtype(), state.start[1].dtype()), (DType::F32, DType::F32));
}
