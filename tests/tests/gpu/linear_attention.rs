//! Linear attention: lengths, decays, resets, splits and hostile numbers.

use crate::case::{Case, KINDS, Kind, Shape, shape};
use crate::transfer::{self, gpu};
use burn::tensor::{DType, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::linear_attention::{LinearAttentionOptions, LinearAttentionState, linear_attention_report};
use seqzoo_tests::{Inputs, autodiff, flags, largest_error, plain};

/// Tokens in a chunk of the kernel.
const CHUNK: usize = 16;

/// Of each tensor's largest element: `f32` sums against `f64` ones. All but the gradient of one decay
/// per head, a sum over all tokens and channels in which much cancels, stay below a third of it.
const CLOSE: f64 = 1e-5;

/// Asserts that the kernel in `f32` computes what the recurrence computes in `f64`.
#[track_caller]
fn assert_kernel_is_the_law(case: Case) {
    assert_is_the_law(case, |case| case.output(Form::Kernel));
}

/// Asserts that `run` computes in `f32` on the GPU what the recurrence computes in `f64`.
#[track_caller]
fn assert_is_the_law(case: Case, run: impl Fn(&Case) -> (Tensor<4>, LinearAttentionState)) {
    // Both sides see inputs that `f32` can hold.
    let rounded = transfer::case(&transfer::case(&case, &autodiff(), DType::F32), &autodiff(), DType::F64);
    let found = transfer::case(&rounded, &gpu(), DType::F32).outcome_of(run);
    found.assert_close(&rounded.outcome(Form::Naive), CLOSE);
}

#[test]
fn the_device_has_a_kernel_and_auto_takes_it() {
    let report = linear_attention_report(100, &LinearAttentionOptions::default(), &gpu());
    assert_eq!(report.form, Form::Kernel);
    assert_eq!(report.to_string(), "CubeCL kernel (the device has it)");
}

#[test]
fn awkward_lengths() {
    for kind in KINDS {
        for time in [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5, 100] {
            for normalised in [false, true] {
                let case = Case::random(kind, &shape(time), normalised, time as u64, &autodiff());
                assert_kernel_is_the_law(case);
            }
        }
    }
}

#[test]
fn widths_at_the_edges_of_the_tiles() {
    for kind in [Kind::Scalar, Kind::Vector] {
        for (key, value) in [(1, 1), (31, 33), (32, 64), (33, 65), (65, 32), (128, 20)] {
            let shape = Shape { batch: 1, time: 37, key_heads: 1, heads: 2, key, value };
            let mut case = Case::random(kind, &shape, false, 4, &autodiff());
            case.resets = Some(Inputs::new(8, &autodiff()).flags([1, 37], 0.05));
            assert_kernel_is_the_law(case);
        }
    }
}

#[test]
fn resets_anywhere() {
    for kind in KINDS {
        for normalised in [false, true] {
            let random = Inputs::new(8, &autodiff()).flags([3, 53], 0.2);
            let first = flags(3, 53, &[0, 7], &autodiff());
            let whole_chunk: Vec<usize> = (CHUNK..2 * CHUNK).collect();
            for resets in [random, first, flags(3, 53, &whole_chunk, &autodiff())] {
                let mut case = Case::random(kind, &shape(53), normalised, 3, &autodiff());
                case.resets = Some(resets);
                assert_kernel_is_the_law(case);
            }
        }
    }
}

#[test]
fn a_reset_before_the_first_token_clears_even_an_infinite_state() {
    for kind in KINDS {
        for time in [1, 20] {
            let mut case = Case::random(kind, &shape(time), false, 3, &plain());
            case.resets = Some(flags(3, time, &[0], &plain()));
            let (wanted, _) = case.output(Form::Naive);
            let memory = case.state.take().unwrap().memory * f64::INFINITY;
            case.state = Some(LinearAttentionState { memory, key_sum: None });
            let (output, state) = transfer::case(&case, &gpu().inner(), DType::F32).output(Form::Kernel);
            let values = |x: Tensor<4>| x.into_data().convert::<f64>().try_to_vec::<f64>().unwrap();
            assert!(largest_error(&values(output), &values(wanted)) < CLOSE, "{kind:?}");
            assert!(values(state.memory).iter().all(|x| x.is_finite()), "{kind:?}");
        }
    }
}

#[test]
fn any_split_gives_the_same() {
    for kind in KINDS {
        for split in [1, 15, 16, 17, 39] {
            let case = Case::random(kind, &shape(40), true, 4, &autodiff());
            assert_is_the_law(case, |case| {
                let (first, state) = case.part(0, split, case.state.clone()).output(Form::Kernel);
                let (second, state) = case.part(split, 40, Some(state)).output(Form::Kernel);
                (Tensor::cat(vec![first, second], 1), state)
            });
        }
    }
}

/// Runs the case token by token, on its own device.
fn in_steps(case: &Case, time: usize) -> (Tensor<4>, LinearAttentionState) {
    let (mut outputs, mut state) = (Vec::new(), case.state.clone());
    for token in 0..time {
        let (output, next) = case.part(token, token + 1, state).output(Form::Kernel);
        outputs.push(output);
        state = Some(next);
    }
    (Tensor::cat(outputs, 1), state.expect("there is a token"))
}

#[test]
fn single_tokens_give_the_same_with_gradients() {
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(19), false, 4, &autodiff());
        case.resets = Some(flags(3, 19, &[0, 7], &autodiff()));
        assert_is_the_law(case, |case| in_steps(case, 19));
    }
}

#[test]
fn single_tokens_give_the_same_without_a_tape() {
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(19), true, 4, &plain());
        case.resets = Some(flags(3, 19, &[0, 7], &plain()));
        let (wanted, last) = case.output(Form::Naive);
        let (output, state) = in_steps(&transfer::case(&case, &gpu().inner(), DType::F32), 19);
        let values = |x: Tensor<4>| x.into_data().convert::<f64>().try_to_vec::<f64>().unwrap();
        assert!(largest_error(&values(output), &values(wanted)) < CLOSE, "{kind:?}");
        assert!(largest_error(&values(state.memory), &values(last.memory)) < CLOSE, "{kind:?}");
    }
}

#[test]
fn decays_of_e_to_the_minus_30_next_to_none_at_all() {
    for kind in KINDS {
        let case = Case::random(kind, &shape(70), false, 2, &autodiff()).with_harsh_decays();
        assert_kernel_is_the_law(case);
    }
}

#[test]
fn the_gradient_of_a_tiny_decay_has_as_many_digits_as_any_other() {
    for kind in [Kind::PerHead, Kind::Scalar, Kind::Vector] {
        let case = Case::random(kind, &shape(40), false, 2, &autodiff()).with_tiny_decays();
        assert_kernel_is_the_law(case);
    }
}

#[test]
fn an_output_that_the_loss_never_uses_costs_no_gradient() {
    let case = Case::random(Kind::Vector, &shape(20), false, 3, &autodiff());
    let case = transfer::case(&case, &gpu(), DType::F32).tracked();
    let (_, state) = case.output(Form::Kernel);
    let gradients = state.memory.sum().backward();
    let norm = |x: &Tensor<4>| x.grad(&gradients).map_or(0.0, |g| g.abs().max().into_scalar::<f32>());
    assert_eq!(norm(&case.query), 0.0);
    assert!(norm(&case.key) > 0.0);

    let (output, _) = case.output(Form::Kernel);
    let gradients = output.sum().backward();
    assert!(case.query.grad(&gradients).is_some_and(|g| g.abs().max().into_scalar::<f32>() > 0.0));
}

#[test]
fn inputs_may_be_views() {
    let case = Case::random(Kind::Vector, &shape(20), false, 3, &plain());
    let mut case = transfer::case(&case, &gpu().inner(), DType::F32);
    let (wanted, _) = case.output(Form::Kernel);
    let view = |x: &Tensor<4>| x.clone().swap_dims(1, 2).add_scalar(0.0).swap_dims(1, 2);
    (case.query, case.key, case.value) = (view(&case.query), view(&case.key), view(&case.value));
    assert_eq!(case.output(Form::Kernel).0.into_data(), wanted.into_data());
}
