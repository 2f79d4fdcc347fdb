//! The delta rule: lengths, strengths, decays, resets, splits and hostile numbers.

use crate::delta_rule_case::{Case, Fading, KINDS, Kind, Shape, shape, unit};
use crate::transfer::{self, gpu};
use burn::tensor::{DType, Device, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::delta_rule::{Beta, DeltaRuleOptions, delta_rule_report};
use seqzoo_tests::{Inputs, autodiff, flags, largest_error, plain};

/// Tokens in a chunk of the kernel.
const CHUNK: usize = 16;

/// Of each tensor's largest element: `f32` sums against `f64` ones. All stay below a third of it, but where the keys
/// are nearly one key and nothing fades, so that what is rounded stays.
const CLOSE: f64 = 1e-5;

/// All tensors of `case`, on `device`.
fn on(case: &Case, device: &Device, dtype: DType) -> Case {
    let mut moved = case.clone().map(|tensor| transfer::floats(&tensor, device, dtype));
    moved.resets = case.resets.as_ref().map(|resets| Tensor::from_data(resets.to_data(), device));
    moved
}

fn values(x: Tensor<4>) -> Vec<f64> {
    x.into_data().convert::<f64>().try_to_vec().unwrap()
}

/// Asserts that the kernel in `f32` computes what the recurrence computes in `f64`.
#[track_caller]
fn assert_kernel_is_the_law(case: Case) {
    assert_is_the_law(case, |case| case.output(Form::Kernel));
}

/// Asserts that `run` computes in `f32` on the GPU what the recurrence computes in `f64`.
#[track_caller]
fn assert_is_the_law(case: Case, run: impl Fn(&Case) -> (Tensor<4>, Tensor<4>)) {
    // Both sides see inputs that `f32` can hold.
    let rounded = on(&on(&case, &autodiff(), DType::F32), &autodiff(), DType::F64);
    let found = on(&rounded, &gpu(), DType::F32).outcome_of(run);
    found.assert_close(&rounded.outcome(Form::Naive), CLOSE);
}

#[test]
fn the_device_has_a_kernel_and_auto_takes_it() {
    let report = delta_rule_report(100, &DeltaRuleOptions::default(), &gpu());
    assert_eq!(report.form, Form::Kernel);
    assert_eq!(report.to_string(), "CubeCL kernel (the device has it)");
}

#[test]
fn awkward_lengths() {
    for kind in KINDS {
        for time in [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5, 100] {
            assert_kernel_is_the_law(Case::random(kind, &shape(time), time as u64, &autodiff()));
        }
    }
}

#[test]
fn widths_at_the_edges_of_the_tiles() {
    // A program is built anew for every 32 rows more, and the driver takes its time over it.
    let few = [(1, 1), (31, 33), (32, 64), (33, 65)];
    let all = [(1, 1), (31, 33), (32, 64), (33, 65), (65, 32), (128, 20), (256, 7)];
    for (kind, widths) in [(KINDS[3], &few[..]), (KINDS[5], &all[..])] {
        for (key, value) in widths.iter().copied() {
            let shape = Shape { batch: 1, time: 37, key_heads: 1, heads: 2, key, value };
            let mut case = Case::random(kind, &shape, 4, &autodiff());
            case.resets = Some(Inputs::new(8, &autodiff()).flags([1, 37], 0.05));
            assert_kernel_is_the_law(case);
        }
    }
}

#[test]
fn resets_anywhere() {
    for kind in KINDS {
        let random = Inputs::new(8, &autodiff()).flags([3, 53], 0.2);
        let first = flags(3, 53, &[0, 7], &autodiff());
        let whole_chunk: Vec<usize> = (CHUNK..2 * CHUNK).collect();
        for resets in [random, first, flags(3, 53, &whole_chunk, &autodiff())] {
            let mut case = Case::random(kind, &shape(53), 3, &autodiff());
            case.resets = Some(resets);
            assert_kernel_is_the_law(case);
        }
    }
}

#[test]
fn a_reset_before_the_first_token_clears_even_an_infinite_state() {
    for kind in KINDS {
        for time in [1, 20] {
            let mut case = Case::random(kind, &shape(time), 3, &plain());
            case.resets = Some(flags(3, time, &[0], &plain()));
            let (wanted, _) = case.output(Form::Naive);
            case.memory = case.memory.map(|memory| memory * f64::INFINITY);
            let (output, memory) = on(&case, &gpu().inner(), DType::F32).output(Form::Kernel);
            assert!(largest_error(&values(output), &values(wanted)) < CLOSE, "{kind:?}");
            assert!(values(memory).iter().all(|x| x.is_finite()), "{kind:?}");
        }
    }
}

/// Runs the case in parts that end at `ends`, carrying the memory.
fn in_parts(case: &Case, ends: &[usize]) -> (Tensor<4>, Tensor<4>) {
    let mut outputs = Vec::new();
    let (mut from, mut memory) = (0, case.memory.clone());
    for end in ends {
        let (output, next) = case.part(from, *end, memory).output(Form::Kernel);
        outputs.push(output);
        memory = Some(next);
        from = *end;
    }
    (Tensor::cat(outputs, 1), memory.expect("there is a part"))
}

#[test]
fn any_split_gives_the_same() {
    for kind in KINDS {
        for split in [1, 15, 16, 17, 39] {
            let case = Case::random(kind, &shape(40), 4, &autodiff());
            assert_is_the_law(case, |case| in_parts(case, &[split, 40]));
        }
    }
}

#[test]
fn single_tokens_give_the_same_with_gradients() {
    let steps: Vec<usize> = (1..=19).collect();
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(19), 4, &autodiff());
        case.resets = Some(flags(3, 19, &[0, 7], &autodiff()));
        assert_is_the_law(case, |case| in_parts(case, &steps));
    }
}

#[test]
fn single_tokens_give_the_same_without_a_tape() {
    let steps: Vec<usize> = (1..=19).collect();
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(19), 4, &plain());
        case.resets = Some(flags(3, 19, &[0, 7], &plain()));
        let (wanted, last) = case.output(Form::Naive);
        let (output, memory) = in_parts(&on(&case, &gpu().inner(), DType::F32), &steps);
        assert!(largest_error(&values(output), &values(wanted)) < CLOSE, "{kind:?}");
        assert!(largest_error(&values(memory), &values(last)) < CLOSE, "{kind:?}");
    }
}

#[test]
fn decays_of_e_to_the_minus_30_next_to_none_at_all() {
    for kind in KINDS {
        assert_kernel_is_the_law(Case::random(kind, &shape(70), 2, &autodiff()).with_harsh_decays());
    }
}

#[test]
fn the_gradient_of_a_tiny_decay_has_as_many_digits_as_any_other() {
    for kind in KINDS {
        assert_kernel_is_the_law(Case::random(kind, &shape(40), 2, &autodiff()).with_tiny_decays());
    }
}

#[test]
fn keys_that_are_nearly_one_key_keep_single_precision() {
    let shape = Shape { batch: 1, time: 100, key_heads: 1, heads: 1, key: 64, value: 16 };
    let kind = Kind { decay: Fading::None, channels: false };
    for strength in [1.0, 1.9, 2.0] {
        let mut case = Case::random(kind, &shape, 3, &autodiff());
        let mut inputs = Inputs::new(9, &autodiff());
        let one = unit(inputs.uniform([1, 1, 1, 64])).expand([1, 100, 1, 64]);
        case.key = unit(one + inputs.uniform([1, 100, 1, 64]) * 0.01);
        case.beta = Beta::Scalar(Tensor::full([1, 100, 1], strength, (&autodiff(), DType::F64)));
        assert_kernel_is_the_law(case);
    }
}

#[test]
fn an_output_that_the_loss_never_uses_costs_no_gradient() {
    let case = on(&Case::random(KINDS[4], &shape(20), 3, &autodiff()), &gpu(), DType::F32).tracked();
    let (_, memory) = case.output(Form::Kernel);
    let gradients = memory.sum().backward();
    let norm = |x: &Tensor<4>| x.grad(&gradients).map_or(0.0, |g| g.abs().max().into_scalar::<f32>());
    assert_eq!(norm(&case.query), 0.0);
    assert!(norm(&case.key) > 0.0);

    let (output, _) = case.output(Form::Kernel);
    let gradients = output.sum().backward();
    assert!(case.query.grad(&gradients).is_some_and(|g| g.abs().max().into_scalar::<f32>() > 0.0));
}

#[test]
fn inputs_may_be_views() {
    for time in [1, 20] {
        let case = Case::random(KINDS[5], &shape(time), 3, &plain());
        let case = on(&case, &gpu().inner(), DType::F32);
        let (wanted, last) = case.output(Form::Kernel);
        let view = |x: Tensor<4>| x.swap_dims(1, 2).add_scalar(0.0).swap_dims(1, 2);
        let (output, memory) = case.map(view).output(Form::Kernel);
        assert_eq!(output.into_data(), wanted.into_data());
        assert_eq!(memory.into_data(), last.into_data());
    }
}

#[test]
fn what_others_hold_is_not_overwritten() {
    for time in [1, 20] {
        let shape = Shape { batch: 2, time, key_heads: 2, heads: 2, key: 4, value: 4 };
        let mut case = on(&Case::random(KINDS[3], &shape, 3, &plain()), &gpu().inner(), DType::F32);
        case.value = case.key.clone(); // one tensor in two roles
        let before = values(case.value.clone());
        let memory = values(case.memory.clone().unwrap());
        let (first, _) = case.output(Form::Kernel);
        let (second, _) = case.output(Form::Kernel);
        assert_eq!(first.into_data(), second.into_data());
        assert_eq!(values(case.value), before);
        assert_eq!(values(case.memory.unwrap()), memory);
    }
}
