//! Rung 5: keys that resemble each other, no keys at all, keys of any length, strong decay, long sequences.

use super::Case;
use burn::tensor::{DType, FloatDType, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::delta_rule::{Beta, Decay, DeltaRuleOptions, Keys, delta_rule};
use seqzoo_tests::ladder::{Operator, Times};
use seqzoo_tests::operators::delta_rule::{Kind, map_beta, nearly_one_key, unit};
use seqzoo_tests::operators::{DeltaRule, Fading, shape};
use seqzoo_tests::{Inputs, Outcome, autodiff, ladder, largest_error, plain, values};

ladder!(hostile, DeltaRule);

const FORMS: [Form; 2] = [Form::Chunked { size: 64 }, Form::Kernel];

const PLAIN: Kind = Kind { decay: Fading::None, channels: false };

#[test]
fn keys_that_are_nearly_one_key_keep_single_precision() {
    for beta in [1.0, 1.9, 2.0] {
        for noise in [0.0, 0.001, 0.1] {
            // Inputs that `f32` can hold, so that only the computation differs.
            let case = nearly_one_key(200, noise, beta, &autodiff()).cast(FloatDType::F32);
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
    for beta in [1.0, 1.9] {
        let case = nearly_one_key(time, 0.1, beta, &plain()).cast(FloatDType::F32);
        // The kernel in f64 is the recurrence to 1e-9 (rung 2).
        let (wanted, last) = case.clone().cast(FloatDType::F64).run(Form::Kernel);
        for form in FORMS {
            let (output, memory) = case.run(form);
            let error = largest_error(&values(output), &values(wanted.clone()));
            assert!(error < 1e-4, "{beta}, {form:?}: {error:e}");
            assert!(largest_error(&values(memory), &values(last.clone())) < 1e-4, "{beta}, {form:?}");
        }
    }
}

#[test]
fn keys_of_one_sign_keep_single_precision() {
    // What SiLU leaves of most keys; a Neumann series over 64 of them has lost a quarter of the result.
    for beta in [0.5, 1.0, 1.9] {
        let mut case = nearly_one_key(200, 0.1, beta, &plain());
        case.inputs.key = unit(Inputs::new(5, &plain()).between([1, 200, 1, 64], 0.0, 1.0));
        let case = case.cast(FloatDType::F32);
        let (wanted, _) = case.clone().cast(FloatDType::F64).run(Form::Naive);
        for form in FORMS {
            let error = largest_error(&values(case.run(form).0), &values(wanted.clone()));
            assert!(error < 1e-5, "{beta}, {form:?}: {error:e}");
        }
    }
}

#[test]
fn keys_of_zeros_write_and_erase_nothing() {
    for form in [Form::Naive, Form::Chunked { size: 16 }, Form::Kernel] {
        for keys in [Keys::Bounded, Keys::Normalise { epsilon: 1e-6 }] {
            let mut case = Case::random(PLAIN, &shape(40), 3, &autodiff());
            case.inputs.keys = keys;
            case.inputs.key = case.inputs.key.zeros_like();
            let memory = values(case.state.clone().unwrap());
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
    case.inputs.keys = Keys::Normalise { epsilon: 1e-6 };
    let (wanted, _) = case.run(Form::Naive);
    case.inputs.query = case.inputs.query * 300.0;
    case.inputs.key = case.inputs.key * 300.0;
    for form in [Form::Naive, Form::Chunked { size: 64 }, Form::Kernel] {
        let (output, _) = case.run(form);
        // The keys were of unit length but for the epsilon; queries were not.
        let error = largest_error(&values(output), &values(wanted.clone()));
        assert!(error < 1e-4, "{form:?}: {error:e}");
    }
}

#[test]
fn keys_under_which_the_memory_would_explode_are_refused() {
    for form in [Form::Naive, Form::Chunked { size: 16 }, Form::Kernel] {
        for (kind, time) in [(0, 1), (0, 40), (1, 1), (5, 40)] {
            let mut case = Case::random(DeltaRule::KINDS[kind], &shape(time), 1, &plain());
            case.inputs.keys = Keys::Bounded;
            case.run(form); // unit keys are taken
            case.inputs.beta = match case.inputs.beta {
                Beta::Scalar(beta) => Beta::Scalar(beta.ones_like()),
                Beta::Vector(beta) => Beta::Vector(beta.ones_like()),
            };
            case.inputs.key = case.inputs.key * 5f64.sqrt();
            let panic =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.run(form))).unwrap_err();
            let message = panic.downcast_ref::<String>().unwrap();
            assert!(
                message.contains("beta · |key|² = 5.000, but at most 2 is wanted"),
                "{form:?}: {message}"
            );
            case.inputs.beta = map_beta(case.inputs.beta, &mut Times(0.4));
            case.run(form); // longer keys are, too, if their beta is smaller
        }
    }
}

#[test]
fn keys_of_any_length_follow_the_law_as_far_as_numbers_go() {
    // Lengths of 2 and betas to 2: the memory grows up to sevenfold with every token.
    let mut case = Case::random(PLAIN, &shape(40), 3, &autodiff());
    case.inputs.key = case.inputs.key * 2.0;
    let wanted = case.clone().outcome(Form::Naive);
    assert!(wanted.values("final_state").iter().any(|x| x.abs() > 1e6));
    case.clone().outcome(Form::Chunked { size: 16 }).assert_close(&wanted, 1e-8);
    case.outcome(Form::Kernel).assert_close(&wanted, 1e-8);
}

#[test]
fn unit_keys_that_bf16_has_rounded_are_not_refused() {
    let mut case = Case::random(PLAIN, &shape(300), 3, &plain()).cast(FloatDType::BF16);
    case.inputs.keys = Keys::Bounded;
    case.inputs.beta = Beta::Scalar(Tensor::full([3, 300, 4], 2.0, (&plain(), DType::BF16)));
    let (output, _) = case.run(Form::Auto);
    assert!(values(output).iter().all(|x| x.is_finite()));
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
