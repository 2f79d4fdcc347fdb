//! The kernel writes over what nobody else holds, and over nothing else.

use seqzoo::ops::Form;
use seqzoo::ops::linear_scan::{Factor, LinearScanOptions, linear_scan};
use seqzoo_tests::ladder::{Case, Operator, outcome};
use seqzoo_tests::operators::{ComplexLinearScan, LinearScan};
use seqzoo_tests::{Inputs, autodiff, plain, values};

fn what_others_hold_is_not_overwritten<O: Operator<Shape = [usize; 3]>>() {
    for kind in O::KINDS {
        let case = Case::<O>::random(*kind, &[2, 50, 21], 4, &autodiff()).tracked();
        let wanted = case.run(Form::Naive).0;
        let (output, state) = case.run(Form::Kernel);
        let loss = case.loss(output.clone(), state);
        let first = case.gradients(loss);
        outcome::<O>(output).assert_close(&outcome::<O>(wanted), 1e-12);
        // And with nothing but the tape to hold the states.
        let (output, state) = case.run(Form::Kernel);
        case.gradients(case.loss(output, state)).assert_close(&first, 0.0);
    }
}

#[test]
fn what_others_hold_is_not_overwritten_by_the_real_scan() {
    what_others_hold_is_not_overwritten::<LinearScan>();
}

#[test]
fn what_others_hold_is_not_overwritten_by_the_complex_scan() {
    what_others_hold_is_not_overwritten::<ComplexLinearScan>();
}

#[test]
fn an_input_that_is_given_away_gives_the_same() {
    let inputs = &mut Inputs::new(4, &plain());
    let (input, factor) = (inputs.uniform::<3>([2, 50, 21]), inputs.uniform::<3>([2, 50, 21]));
    let run = |input, factor| {
        let options = LinearScanOptions { form: Form::Kernel, ..Default::default() };
        values(linear_scan(input, Factor::PerToken(factor), options).0)
    };
    let before = values(input.clone());
    let held = run(input.clone(), factor.clone());
    assert_eq!(values(input.clone()), before);
    // One tensor in two roles is held by both.
    let twice = run(factor.clone(), factor.clone());
    assert_eq!(run(factor.clone().mul_scalar(1.0), factor.clone()), twice);
    assert_eq!(run(input, factor), held);
}
