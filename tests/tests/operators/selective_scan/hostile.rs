//! Steps and rates far from the usual.

use burn::tensor::{DType, FloatDType, Tensor};
use seqzoo::ops::Form;
use seqzoo_tests::ladder::{Case, Operator};
use seqzoo_tests::operators::SelectiveScan;
use seqzoo_tests::operators::selective_scan::{Kind, alternating};
use seqzoo_tests::{autodiff, values};

const FORMS: [Form; 2] = [Form::Chunked { size: 16 }, Form::Kernel];

#[test]
fn steps_and_rates_of_any_size_keep_all_digits() {
    for steps in [[1e-8, 100.0], [1e-8, 1e-8], [100.0, 100.0]] {
        for rates in [[-1e-8, -1e4], [-1e-8, -1e-8], [-1e4, -1e4], [-1.0, -0.1]] {
            // What double precision makes of the numbers that single precision has.
            let case = alternating(steps, rates).cast(FloatDType::F32);
            let exact = case.clone().cast(FloatDType::F64);
            let wanted = exact.clone().outcome(Form::Naive);
            for form in FORMS {
                exact.clone().outcome(form).assert_close(&wanted, SelectiveScan::TOLERANCE.exact);
                case.clone().outcome(form).assert_close(&wanted, 2e-5);
            }
        }
    }
}

#[test]
fn a_softplus_of_a_large_number_is_the_number_and_of_a_small_one_its_exponential() {
    for form in FORMS {
        let mut case = Case::<SelectiveScan>::random(Kind::Full, &[1, 2, 1], 3, &autodiff());
        case.inputs.limits = None;
        case.inputs.delta_bias = Some(Tensor::zeros([1], (&autodiff(), DType::F64)));
        case.inputs.delta = Tensor::from_data([[[-30.0], [90.0]]], (&autodiff(), DType::F64));
        let case = case.cast(FloatDType::F32);
        let found = case.clone().outcome(form);
        found.assert_close(&case.cast(FloatDType::F64).outcome(Form::Naive), 5e-6);
    }
}

#[test]
fn a_step_outside_the_limits_has_no_gradient() {
    for form in [Form::Naive, Form::Chunked { size: 4 }, Form::Kernel] {
        let mut case = Case::<SelectiveScan>::random(Kind::Bare, &[1, 3, 2], 3, &autodiff());
        case.inputs.limits = Some((0.1, 0.5));
        let delta = [[[0.05, 0.2], [0.2, 0.9], [0.9, 0.05]]];
        case.inputs.delta = Tensor::from_data(delta, (&autodiff(), DType::F64));
        let gradient = case.outcome(form).values("d_delta").to_vec();
        assert!([0, 3, 4, 5].iter().all(|index| gradient[*index] == 0.0), "{form:?}: {gradient:?}");
        assert!([1, 2].iter().all(|index| gradient[*index] != 0.0), "{form:?}: {gradient:?}");
    }
}

#[test]
fn a_step_of_zero_passes_over_the_token() {
    for form in FORMS {
        let mut case = Case::<SelectiveScan>::random(Kind::Bare, &[1, 50, 3], 3, &autodiff());
        case.inputs.delta = case.inputs.delta.zeros_like();
        let (_, last) = case.run(form);
        assert_eq!(values(last), values(case.state.unwrap()));
    }
}
