//! What the scans are, in closed form.

use burn::tensor::{DType, Tensor};
use seqzoo::ops::linear_scan::{ComplexFactor, Factor, LinearScanOptions, complex_linear_scan, linear_scan};
use seqzoo::ops::{Complex, Form};
use seqzoo_tests::{Inputs, autodiff, largest_error, plain, values};

const FORMS: [Form; 3] = [Form::Naive, Form::Chunked { size: 16 }, Form::Kernel];

#[test]
fn a_factor_of_one_sums_up() {
    for form in FORMS {
        let input = Inputs::new(1, &plain()).uniform([2, 100, 5]);
        let options = LinearScanOptions { form, ..Default::default() };
        let ones = Tensor::ones([5], (&plain(), DType::F64));
        let (states, _) = linear_scan(input.clone(), Factor::PerChannel(ones), options);
        assert!(largest_error(&values(states), &values(input.cumsum(1))) < 1e-13);
    }
}

#[test]
fn a_factor_of_minus_one_alternates() {
    for form in FORMS {
        let ones = Tensor::<3>::ones([1, 101, 3], (&plain(), DType::F64));
        let options = LinearScanOptions { form, ..Default::default() };
        let factor = Factor::PerToken(ones.clone().neg());
        let states = values(linear_scan(ones, factor, options).0.narrow(2, 0, 1));
        assert!(states.iter().enumerate().all(|(t, state)| *state == (1 - t % 2) as f64));
    }
}

#[test]
fn a_factor_of_zero_keeps_the_input_alone_and_has_an_exact_gradient() {
    for form in FORMS {
        let inputs = &mut Inputs::new(1, &autodiff());
        let input = inputs.uniform::<3>([2, 70, 5]);
        let factor = Tensor::<3>::zeros([2, 70, 5], (&autodiff(), DType::F64)).require_grad();
        let options = LinearScanOptions { form, ..Default::default() };
        let (states, _) = linear_scan(input.clone(), Factor::PerToken(factor.clone()), options);
        assert_eq!(values(states.clone()), values(input.clone()));
        // The state before a token is then its predecessor's input.
        let gradient = factor.grad(&states.sum().backward()).unwrap();
        assert_eq!(values(gradient.narrow(1, 1, 69)), values(input.narrow(1, 0, 69)));
    }
}

#[test]
fn real_numbers_are_complex_ones_without_an_imaginary_part() {
    for form in FORMS {
        let inputs = &mut Inputs::new(1, &plain());
        let (input, factor) = (inputs.uniform::<3>([2, 70, 5]), inputs.uniform::<3>([2, 70, 5]));
        let options = LinearScanOptions { form, ..Default::default() };
        let (wanted, _) = linear_scan(input.clone(), Factor::PerToken(factor.clone()), options);
        let real = |re: Tensor<3>| Complex::new(re.clone(), re.zeros_like());
        let options = LinearScanOptions { form, ..Default::default() };
        let (found, _) = complex_linear_scan(real(input), ComplexFactor::PerToken(real(factor)), options);
        assert_eq!(largest_error(&values(found.im), &vec![0.0; 700]), 0.0);
        assert!(largest_error(&values(found.re), &values(wanted)) < 1e-14);
    }
}

#[test]
fn a_factor_on_the_unit_circle_turns_and_never_fades() {
    for form in FORMS {
        let part = |number: f64| Tensor::<1>::full([3], number, (&plain(), DType::F64));
        let zeros = Tensor::<3>::zeros([1, 5000, 3], (&plain(), DType::F64));
        let start = Complex::new(part(1.0).unsqueeze(), part(0.0).unsqueeze());
        let options = LinearScanOptions { form, initial_state: Some(start), ..Default::default() };
        let factor = ComplexFactor::PerChannel(Complex::new(part(0.3f64.cos()), part(0.3f64.sin())));
        let (_, last) = complex_linear_scan(Complex::new(zeros.clone(), zeros), factor, options);
        let angle = 0.3 * 5000.0f64;
        assert!(largest_error(&values(last.re), &[angle.cos(); 3]) < 1e-11);
        assert!(largest_error(&values(last.im), &[angle.sin(); 3]) < 1e-11);
    }
}
