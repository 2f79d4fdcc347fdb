//! Rung 5: keys that resemble each other, no keys at all, keys of any length, strong decay, long sequences.

use super::case::{Case, Fading, KINDS, Kind, Shape, shape, unit};
use burn::tensor::{DType, FloatDType, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::delta_rule::{Beta, Decay, DeltaRuleOptions, Keys, delta_rule};
use seqzoo_tests::{Inputs, Outcome, autodiff, flags, largest_error, plain};

const FORMS: [Form; 2] = [Form::Chunked { size: 64 }, Form::Kernel];

const PLAIN: Kind = Kind { decay: Fading::None, channels: false };

fn values(x: Tensor<4>) -> Vec<f64> {
    x.into_data().convert::<f64>().try_to_vec().unwrap()
}

/// One unit vector with a little noise, at every token; all strengths the same.
fn alike(time: usize, noise: f64, strength: f64, device: &burn::tensor::Device) -> Case {
    let shape = Shape { batch: 1, time, key_heads: 1, heads: 1, key: 64, value: 16 };
    let mut case = Case::random(PLAIN, &shape, 3, device);
    let mut inputs = Inputs::new(9, device);
    let one = unit(inputs.uniform([1, 1, 1, 64])).expand([1, time, 1, 64]);
    case.key = unit(one + inputs.uniform([1, time, 1, 64]) * (noise / 8.0));
    case.beta = Beta::Scalar(Tensor::full([1, time, 1], strength, (device, DType::F64)));
    case
}

#[test]
fn keys_that_are_nearly_one_key_keep_single_precision() {
    for strength in [1.0, 1.9, 2.0] {
        for noise in [0.0, 0.001, 0.1] {
            // Inputs that `f32` can hold, so that only the computation differs.
            let case = alike(200, noise, strength, &autodiff()).cast(FloatDType::F32);
            let wanted = case.clone().cast(FloatDType::F64).outcome(Form::Naive);
            for form in FORMS {
                case.clone().outcome(form).assert_close(&wanted, 1e-4);
            }
        }
    }
}

#[test]
fn ten_thousand_tokens_of_nearly_one_key_keep_single_precision() {
    let time = 10_000;
    for strength in [1.0, 1.9] {
        let case = alike(time, 0.1, strength, &plain()).cast(FloatDType::F32);
        // The kernel in f64 is the recurrence to 1e-9 (rung 2).
        let (wanted, last) = case.clone().cast(FloatDType::F64).output(Form::Kernel);
        for form in FORMS {
            let (output, memory) = case.output(form);
            let error = largest_error(&values(output), &values(wanted.clone()));
            assert!(error < 1e-4, "{strength}, {form:?}: {error:e}");
            assert!(largest_error(&values(memory), &values(last.clone())) < 1e-4, "{strength}, {form:?}");
        }
    }
}

#[test]
fn keys_of_one_sign_keep_single_precision() {
    // What SiLU leaves of most keys; a Neumann series over 64 of them has lost a quarter of the result.
    for strength in [0.5, 1.0, 1.9] {
        let mut case = alike(200, 0.1, strength, &plain());
        case.key = unit(Inputs::new(5, &plain()).between([1, 200, 1, 64], 0.0, 1.0));
        let case = case.cast(FloatDType::F32);
        let (wanted, _) = case.clone().cast(FloatDType::F64).output(Form::Naive);
        for form in FORMS {
            let error = largest_error(&values(case.output(form).0), &values(wanted.clone()));
            assert!(error < 1e-5, "{strength}, {form:?}: {error:e}");
        }
    }
}

#[test]
fn keys_of_zeros_write_and_erase_nothing() {
    for form in [Form::Naive, Form::Chunked { size: 16 }, Form::Kernel] {
        for keys in [Keys::Bounded, Keys::Normalise { epsilon: 1e-6 }] {
            let mut case = Case::random(PLAIN, &shape(40), 3, &autodiff());
            case.keys = keys;
            case.key = case.key.zeros_like();
            let memory = values(case.memory.clone().unwrap());
            let outcome = case.outcome(form);
            assert_eq!(outcome.values("final_state"), memory, "{form:?}");
            for name in outcome.names() {
                assert!(outcome.values(name).iter().all(|x| x.is_finite()), "{form:?}: `{name}`");
            }
        }
    }
}

#[test]
fn keys_of_any_length_are_normalised_where_that_is_asked_for() {
    let mut case = Case::random(PLAIN, &shape(150), 3, &plain());
    case.keys = Keys::Normalise { epsilon: 1e-6 };
    let (wanted, _) = case.output(Form::Naive);
    case.query = case.query * 300.0;
    case.key = case.key * 300.0;
    for form in [Form::Naive, Form::Chunked { size: 64 }, Form::Kernel] {
        let (output, _) = case.output(form);
        // The keys were of unit length but for the epsilon; queries were not.
        let error = largest_error(&values(output), &values(wanted.clone()));
        assert!(error < 1e-4, "{form:?}: {error:e}");
    }
}

#[test]
fn keys_under_which_the_memory_would_explode_are_refused() {
    for form in [Form::Naive, Form::Chunked { size: 16 }, Form::Kernel] {
        for (kind, time) in [(KINDS[0], 1), (KINDS[0], 40), (KINDS[1], 1), (KINDS[5], 40)] {
            let mut case = Case::random(kind, &shape(time), 1, &plain());
            case.keys = Keys::Bounded;
            case.output(form); // unit keys are taken
            case.beta = match case.beta {
                Beta::Scalar(beta) => Beta::Scalar(beta.ones_like()),
                Beta::Vector(beta) => Beta::Vector(beta.ones_like()),
            };
            case.key = case.key * 5f64.sqrt();
            let panic =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.output(form))).unwrap_err();
            let message = panic.downcast_ref::<String>().unwrap();
            assert!(
                message.contains("beta · |key|² = 5.000, but at most 2 is wanted"),
                "{form:?}: {message}"
            );
            case.beta = match case.beta {
                Beta::Scalar(beta) => Beta::Scalar(beta * 0.4),
                Beta::Vector(beta) => Beta::Vector(beta * 0.4),
            };
            case.output(form); // longer keys are, too, if they are written less strongly
        }
    }
}

#[test]
fn keys_of_any_length_follow_the_law_as_far_as_numbers_go() {
    // Lengths of 2 and strengths to 2: the memory grows up to sevenfold with every token.
    let mut case = Case::random(PLAIN, &shape(40), 3, &autodiff());
    case.key = case.key * 2.0;
    let wanted = case.clone().outcome(Form::Naive);
    assert!(wanted.values("final_state").iter().any(|x| x.abs() > 1e6));
    case.clone().outcome(Form::Chunked { size: 16 }).assert_close(&wanted, 1e-8);
    case.outcome(Form::Kernel).assert_close(&wanted, 1e-8);
}

#[test]
fn decays_of_e_to_the_minus_30_next_to_none_at_all() {
    for kind in KINDS {
        let case = Case::random(kind, &shape(150), 2, &autodiff()).with_harsh_decays();
        let wanted = case.clone().outcome(Form::Naive);
        case.clone().outcome(Form::Chunked { size: 64 }).assert_close(&wanted, 1e-11);
        case.outcome(Form::Kernel).assert_close(&wanted, 1e-11);
    }
}

#[test]
fn the_gradient_of_a_tiny_decay_has_as_many_digits_as_any_other() {
    for kind in KINDS {
        let case = Case::random(kind, &shape(40), 2, &autodiff()).with_tiny_decays();
        let wanted = case.clone().outcome(Form::Naive);
        case.clone().outcome(Form::Chunked { size: 16 }).assert_close(&wanted, 1e-11);
        case.outcome(Form::Kernel).assert_close(&wanted, 1e-11);
    }
}

#[test]
fn a_chunk_of_nothing_but_resets_keeps_only_the_last_token() {
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(40), 5, &autodiff());
        let resets: Vec<usize> = (3..29).collect();
        case.resets = Some(flags(3, 40, &resets, &autodiff()));
        let wanted = case.clone().outcome(Form::Naive);
        case.clone().outcome(Form::Chunked { size: 8 }).assert_close(&wanted, 1e-10);
        case.outcome(Form::Kernel).assert_close(&wanted, 1e-10);
    }
}

#[test]
fn sixty_five_thousand_tokens_stay_exact() {
    let time = 65_536;
    for decay in [Fading::Scalar, Fading::Vector] {
        for form in FORMS {
            let shape = Shape { batch: 1, time, key_heads: 1, heads: 1, key: 4, value: 4 };
            let case = Case::random(Kind { decay, channels: false }, &shape, 1, &plain());
            let (whole, memory) = case.output(form);
            // Decays forget the beginning, so the end can be recomputed from the last tokens alone.
            let tail = 4_096;
            let (part, last) = case.part(time - tail, time, None).output(Form::Naive);
            let error = largest_error(
                &values(whole.narrow(1, time - 64, 64)),
                &values(part.narrow(1, tail - 64, 64)),
            );
            assert!(error < 1e-10, "{decay:?}: {error:e}");
            assert!(largest_error(&values(memory), &values(last)) < 1e-10);
        }
    }
}

#[test]
fn a_reset_before_the_first_token_clears_even_an_infinite_state() {
    for kind in KINDS {
        for time in [1, 20] {
            let mut case = Case::random(kind, &shape(time), 3, &plain());
            case.resets = Some(flags(3, time, &[0, 7], &plain()));
            let wanted = case.output(Form::Chunked { size: 8 }).0;
            case.memory = case.memory.map(|memory| memory * f64::INFINITY);
            for form in [Form::Naive, Form::Chunked { size: 8 }, Form::Kernel] {
                let (output, memory) = case.output(form);
                let error = (output - wanted.clone()).abs().max().into_scalar::<f64>();
                assert!(error < 1e-12 && values(memory).iter().all(|x| x.is_finite()), "{kind:?}: {error}");
            }
        }
    }
}

#[test]
fn bf16_inputs_accumulate_in_f32() {
    let kind = Kind { decay: Fading::Vector, channels: false };
    let mut case = Case::random(kind, &shape(300), 3, &plain()).cast(FloatDType::BF16);
    case.memory = None;
    let (output, memory) = case.output(Form::Auto);
    assert_eq!((output.dtype(), memory.dtype()), (DType::BF16, DType::F32));
    let (_, exact) = case.cast(FloatDType::F32).output(Form::Auto);
    assert_eq!(memory.into_data(), exact.into_data());
}

#[test]
fn unit_keys_that_bf16_has_rounded_are_not_refused() {
    let mut case = Case::random(PLAIN, &shape(300), 3, &plain()).cast(FloatDType::BF16);
    case.keys = Keys::Bounded;
    case.beta = Beta::Scalar(Tensor::full([3, 300, 4], 2.0, (&plain(), DType::BF16)));
    let (output, _) = case.output(Form::Auto);
    assert!(values(output).iter().all(|x| x.is_finite()));
}

#[test]
fn an_output_that_the_loss_never_uses_costs_no_gradient() {
    let case = Case::random(KINDS[4], &shape(20), 3, &autodiff()).tracked();
    for form in [Form::Naive, Form::Chunked { size: 8 }, Form::Kernel] {
        let (output, memory) = case.output(form);
        let norm = |x: &Tensor<4>, gradients: &burn::tensor::Gradients| {
            x.grad(gradients).map_or(0.0, |g| g.abs().max().into_scalar::<f64>())
        };
        let gradients = memory.sum().backward();
        assert_eq!(norm(&case.query, &gradients), 0.0);
        assert!(norm(&case.key, &gradients) > 0.0);
        drop(output);
        let (output, _) = case.output(form);
        assert!(norm(&case.query, &output.sum().backward()) > 0.0);
    }
}

#[test]
fn empty_axes_are_refused_by_name() {
    let message = |time: usize, key: usize, value: usize| {
        let keys = Tensor::<4>::zeros([1, time, 1, key], &plain());
        let values = Tensor::<4>::zeros([1, time, 1, value], &plain());
        let beta = Beta::Scalar(Tensor::zeros([1, time, 1], &plain()));
        let run = || delta_rule(keys.clone(), keys, values, beta, Decay::None, DeltaRuleOptions::default());
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    };
    assert!(message(0, 2, 2).contains("`query` has no elements on its time axis"));
    assert!(message(3, 0, 2).contains("`query` has no elements on its channel axis"));
    assert!(message(3, 2, 0).contains("`value` has no elements on its channel axis"));
}

#[test]
fn outcomes_do_not_hide_what_is_no_number() {
    // The comparisons above rest on this.
    let mut one = Outcome::default();
    one.put("x", &Tensor::<1>::from_floats([f32::NAN], &plain()));
    let same = one.clone();
    assert!(std::panic::catch_unwind(|| one.assert_close(&same, 1.0)).is_err());
}
