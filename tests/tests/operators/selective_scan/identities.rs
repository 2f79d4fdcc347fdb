//! What the selective scan is where the tokens choose nothing.

use burn::tensor::{DType, Tensor};
use seqzoo::ops::diagonal_ssm::{DiagonalSsmOptions, diagonal_ssm};
use seqzoo::ops::selective_scan::{SelectiveScanOptions, selective_scan};
use seqzoo::ops::{Complex, Form};
use seqzoo_tests::{Inputs, largest_error, plain, values};

#[test]
fn the_same_choice_for_every_token_is_a_diagonal_state_space_with_eulers_rule() {
    let device = plain();
    let inputs = &mut Inputs::new(1, &device);
    let [batch, time, channels, size] = [2, 100, 7, 5];
    let input = inputs.uniform::<3>([batch, time, channels]);
    let a = inputs.between::<2>([channels, size], -3.0, -0.1);
    let (b, c) = (inputs.uniform::<2>([1, size]), inputs.uniform::<2>([1, size]));
    let steps = inputs.between::<1>([channels], 0.01, 0.5);
    for form in [Form::Naive, Form::Chunked { size: 16 }, Form::Kernel] {
        let same = |x: &Tensor<2>| x.clone().reshape([1, 1, 1, size]).expand([batch, time, 1, size]);
        let delta = steps.clone().reshape([1, 1, channels]).expand([batch, time, channels]);
        let options = SelectiveScanOptions { form, ..Default::default() };
        let (chosen, _) = selective_scan(input.clone(), delta, a.clone(), same(&b), same(&c), options);

        let step = steps.clone().reshape([channels, 1]);
        let real = |re: Tensor<2>| Complex::new(re.clone(), re.zeros_like());
        let eigenvalues = real((a.clone() * step.clone()).exp());
        let weights = real((b.clone() * c.clone()).expand([channels, size]) * step);
        let options = DiagonalSsmOptions { form, ..Default::default() };
        let (fixed, _) = diagonal_ssm(input.clone(), eigenvalues, weights, options);
        assert!(largest_error(&values(chosen), &values(fixed)) < 1e-13);
    }
}

#[test]
fn a_step_of_a_token_reads_what_it_has_written() {
    let number = |x: f64| Tensor::<3>::full([1, 1, 1], x, (&plain(), DType::F64));
    let shared = |x: f64| Tensor::<4>::full([1, 1, 1, 1], x, (&plain(), DType::F64));
    let a = Tensor::<2>::full([1, 1], -2.0, (&plain(), DType::F64));
    for form in [Form::Naive, Form::Chunked { size: 1 }, Form::Kernel] {
        let options = SelectiveScanOptions {
            d: Some(Tensor::full([1], 10.0, (&plain(), DType::F64))),
            initial_state: Some(number(7.0)),
            form,
            ..Default::default()
        };
        let (output, state) =
            selective_scan(number(3.0), number(0.5), a.clone(), shared(4.0), shared(5.0), options);
        let expected = 7.0 * (-1.0f64).exp() + 0.5 * 3.0 * 4.0;
        assert!((state.into_scalar::<f64>() - expected).abs() < 1e-14);
        assert!((output.into_scalar::<f64>() - (5.0 * expected + 30.0)).abs() < 1e-13);
    }
}
