//! Rungs of the operators with an element-wise state, whose extents are batch, time and channels.

use super::change::Tokens;
use super::kernel::{HasGradient, TrackOnly};
use super::{Case, Change, Operator, returned};
use crate::{Outcome, autodiff, plain};
use burn::tensor::{FloatDType, Tensor};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use seqzoo::ops::Form;

const FORMS: [Form; 2] = [Form::Chunked { size: 64 }, Form::Kernel];

#[track_caller]
fn assert_is_the_law<O: Operator>(case: Case<O>, forms: &[Form], tolerance: f64) {
    let wanted = case.clone().outcome(Form::Naive);
    for form in forms {
        case.clone().outcome(*form).assert_close(&wanted, tolerance);
    }
}

pub fn all_forms_are_the_law_at_awkward_widths_and_lengths<O: Operator<Shape = [usize; 3]>>() {
    for kind in O::KINDS {
        for channels in [1, 3, 17, 70] {
            for time in [1, 2, 63, 64, 65, 200] {
                let case = Case::<O>::random(*kind, &[3, time, channels], time as u64, &autodiff());
                assert_is_the_law(case.clone(), &FORMS, O::TOLERANCE.exact);
                assert_is_the_law(case.with_resets(8, 0.05), &FORMS, O::TOLERANCE.exact);
            }
        }
    }
}

/// `source` is the file of the test, by which proptest finds the cases that have failed before: they hold as long as
/// what is drawn here stays what it is, in this order.
pub fn any_shape_gives_the_same<O: Operator<Shape = [usize; 3]>>(source: &'static str) {
    let drawn = (
        0..O::KINDS.len(),
        (1usize..4, 1usize..90, 1usize..40),
        0u32..7,
        prop::sample::select(vec![0.0, 0.1, 0.9]),
        any::<u64>(),
    );
    let config = ProptestConfig { source_file: Some(source), ..ProptestConfig::with_cases(48) };
    let result = TestRunner::new(config).run(&drawn, |(kind, extents, log_size, reset_rate, seed)| {
        let (batch, time, channels) = extents;
        let mut case = Case::<O>::random(O::KINDS[kind], &[batch, time, channels], seed, &autodiff());
        if reset_rate > 0.0 {
            case = case.with_resets(seed, reset_rate);
        }
        assert_is_the_law(case, &[Form::Chunked { size: 1 << log_size }, Form::Kernel], O::TOLERANCE.exact);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

pub fn no_sequences_have_outputs_and_gradients_of_none<O: Operator<Shape = [usize; 3]>>() {
    for kind in O::KINDS {
        for form in [Form::Naive, Form::Chunked { size: 4 }, Form::Kernel, Form::Auto] {
            let case = Case::<O>::random(*kind, &[0, 5, 3], 1, &autodiff());
            for case in [case.clone(), case.with_resets_at(&[2])] {
                let case = case.tracked();
                let (output, state) = case.run(form);
                let returned = returned::<O>(&output, &state);
                let mut sums = Sums(Vec::new());
                O::map_output(output, &mut sums);
                O::map_state(state, &mut sums);
                let gradients = case.gradients(Tensor::cat(sums.0, 0).sum());
                for name in ["o", "final_state"] {
                    assert!(returned.values(name).is_empty(), "{kind:?} {form:?}: {name}");
                }
                assert!(gradients.values("d_initial_state").is_empty(), "{kind:?} {form:?}");
            }
        }
    }
}

/// Collects the sums of tensors.
struct Sums(Vec<Tensor<1>>);

impl Change for Sums {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        self.0.push(tensor.clone().sum());
        tensor
    }
}

pub fn sixty_five_thousand_tokens_stay_exact<O: Operator<Shape = [usize; 3]>>() {
    let time = 65_536;
    for kind in O::KINDS {
        let case = Case::<O>::random(*kind, &[1, time, 5], 1, &plain());
        let ends = |form| {
            let (output, state) = case.run(form);
            returned::<O>(&O::map_output(output, &mut Tokens(time - 64..time)), &state)
        };
        let wanted = ends(Form::Naive);
        for form in FORMS {
            ends(form).assert_close(&wanted, 1e-10);
        }
    }
}

pub fn single_precision_is_as_good_as_its_type<O: Operator<Shape = [usize; 3]>>() {
    for kind in O::KINDS {
        // A factor on the unit circle that is rounded turns the state elsewhere: both sides see the same numbers.
        let case = Case::<O>::random(*kind, &[2, 150, 70], 2, &autodiff());
        let case = case.cast(FloatDType::F32).cast(FloatDType::F64);
        let wanted = case.clone().outcome(Form::Naive);
        case.cast(FloatDType::F32).outcome(Form::Kernel).assert_close(&wanted, O::TOLERANCE.single);
    }
}

pub fn the_number_of_cores_changes_no_bit<O: Operator<Shape = [usize; 3]>>() {
    // One narrow sequence, one wide one, and more sequences than cores.
    for (kind, shape) in O::KINDS
        .iter()
        .flat_map(|kind| [[1, 20_000, 3], [1, 100, 1_300], [9, 700, 40]].map(|shape| (*kind, shape)))
    {
        for resets in [false, true] {
            let mut case = Case::<O>::random(kind, &shape, 5, &autodiff());
            if resets {
                case = case.with_resets(4, 0.02);
            }
            let with = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                pool.expect("threads start").install(|| case.clone().outcome(Form::Kernel))
            };
            let one = with(1);
            for threads in [2, 3, 8] {
                with(threads).assert_close(&one, 0.0);
            }
            one.assert_close(&case.clone().outcome(Form::Chunked { size: 64 }), O::TOLERANCE.exact);
        }
    }
}

pub fn two_threads_may_call_at_once<O: Operator<Shape = [usize; 3]>>() {
    let outcome = |seed: usize| {
        let kind = O::KINDS[seed % O::KINDS.len()];
        Case::<O>::random(kind, &[2, 900, 50], seed as u64, &autodiff()).outcome(Form::Kernel)
    };
    let alone: Vec<Outcome> = (0..8).map(outcome).collect();
    let together: Vec<Outcome> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|seed| scope.spawn(move || outcome(seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    for (found, wanted) in together.iter().zip(&alone) {
        found.assert_close(wanted, 0.0);
    }
}

pub fn an_output_that_the_loss_never_uses_costs_no_gradient<O: Operator<Shape = [usize; 3]>>() {
    for kind in O::KINDS {
        let case = Case::<O>::random(*kind, &[2, 20, 9], 3, &autodiff()).tracked();
        let gradients = |form, of_output: bool| {
            let (output, state) = case.run(form);
            let loss = if of_output { case.output_loss(output) } else { case.state_loss(state) };
            case.gradients(loss)
        };
        for of_output in [true, false] {
            let wanted = gradients(Form::Naive, of_output);
            for form in FORMS {
                gradients(form, of_output).assert_close(&wanted, O::TOLERANCE.exact);
            }
        }
    }
}

/// Of all inputs, `name` alone gets a gradient if it alone wants one.
pub fn what_needs_no_gradient_gets_none<O: Operator<Shape = [usize; 3]>>(name: &'static str) {
    for kind in O::KINDS {
        let mut case = Case::<O>::random(*kind, &[2, 20, 9], 3, &autodiff());
        let mut has = Has { name, found: false };
        case.inputs.clone().map(&mut has);
        if !has.found {
            continue; // an optional input that this kind does without
        }
        case.inputs = case.inputs.map(&mut TrackOnly(name));
        let (output, state) = case.run(Form::Kernel);
        let mut gradients = HasGradient { gradients: case.loss(output, state).backward(), names: Vec::new() };
        case.map_inputs(&mut gradients);
        assert_eq!(gradients.names, [name]);
    }
}

/// Looks for a tensor.
struct Has {
    name: &'static str,
    found: bool,
}

impl Change for Has {
    fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
        self.found |= name == self.name;
        tensor
    }
}
