//! Rung 5: strong decay, none at all, long sequences, whole chunks of resets, and narrow floats.

use super::change::Times;
use super::{Case, MemoryOperator, Operator, available};
use crate::operators::{Fading, Shape, shape};
use crate::{autodiff, largest_error, plain, values};
use burn::tensor::{DType, FloatDType, Tensor};
use seqzoo::ops::Form;

pub fn decays_of_e_to_the_minus_30_next_to_none_at_all<O: MemoryOperator>() {
    for kind in O::PLAIN {
        let case = Case::<O>::random(*kind, &shape(150), 2, &autodiff()).with_harsh_decays();
        let wanted = case.clone().outcome(Form::Naive);
        for form in [Form::Chunked { size: 64 }, Form::Kernel] {
            case.clone().outcome(form).assert_close(&wanted, O::TOLERANCE.harsh);
        }
    }
}

pub fn the_gradient_of_a_tiny_decay_has_as_many_digits_as_any_other<O: MemoryOperator>() {
    for kind in O::PLAIN {
        let case = Case::<O>::random(*kind, &shape(40), 2, &autodiff()).with_tiny_decays();
        let wanted = case.clone().outcome(Form::Naive);
        for form in [Form::Chunked { size: 16 }, Form::Kernel] {
            case.clone().outcome(form).assert_close(&wanted, O::TOLERANCE.harsh);
        }
    }
}

pub fn strong_decay_in_single_precision_is_as_good_as_in_double<O: MemoryOperator>() {
    for kind in O::PLAIN {
        let mut case = Case::<O>::random(*kind, &shape(200), 2, &plain()).with_harsh_decays();
        case.state = None;
        let wanted = values(case.run(Form::Naive).0);
        let single = case.cast(FloatDType::F32);
        for form in [Form::Chunked { size: 64 }, Form::Kernel] {
            let error = largest_error(&values(single.run(form).0), &wanted);
            assert!(error <= 1e-5, "{kind:?} {form:?}: {error:e}");
        }
    }
}

pub fn a_chunk_of_nothing_but_resets_keeps_only_the_last_token<O: Operator>() {
    for kind in O::KINDS {
        let resets: Vec<usize> = (3..29).collect();
        let case = Case::<O>::random(*kind, &O::shape(40), 5, &autodiff()).with_resets_at(&resets);
        let wanted = case.clone().outcome(Form::Naive);
        for form in available::<O>(&[Form::Chunked { size: 8 }, Form::Kernel]) {
            case.clone().outcome(form).assert_close(&wanted, 1e-10);
        }
    }
}

pub fn sixty_five_thousand_tokens_stay_exact<O: MemoryOperator>() {
    // Decays forget the beginning, so the end can be recomputed from the last tokens alone.
    let (time, tail) = (65_536, 4_096);
    for decay in [Fading::PerHead, Fading::Scalar, Fading::Vector] {
        let shape = Shape { batch: 1, time, key_heads: 1, heads: 1, key: 4, value: 4 };
        let case = Case::<O>::random(O::kind(decay, false), &shape, 1, &plain());
        let (part, last) = case.part(time - tail, time, None).run(Form::Naive);
        let wanted = super::returned::<O>(&part.narrow(1, tail - 64, 64), &last);
        for form in [Form::Chunked { size: 64 }, Form::Kernel] {
            let (whole, state) = case.run(form);
            let found = super::returned::<O>(&whole.narrow(1, time - 64, 64), &state);
            found.assert_close(&wanted, 1e-10);
        }
    }
}

pub fn a_reset_before_the_first_token_clears_even_an_infinite_state<O: Operator>() {
    for kind in O::KINDS {
        for time in [1, 20] {
            let mut case = Case::<O>::random(*kind, &O::shape(time), 3, &plain()).with_resets_at(&[0, 7]);
            let wanted = case.returned(Form::Chunked { size: 8 });
            case.state = case.state.map(|state| O::map_state(state, &mut Times(f64::INFINITY)));
            for form in available::<O>(&[Form::Naive, Form::Chunked { size: 8 }, Form::Kernel]) {
                let difference = case.returned(form).largest_difference(&wanted);
                assert!(difference < 1e-12, "{kind:?} {form:?}: {difference:e}");
            }
        }
    }
}

pub fn bf16_inputs_accumulate_in_f32<O: Operator>() {
    for kind in O::KINDS {
        let mut case = Case::<O>::random(*kind, &O::shape(300), 3, &plain()).cast(FloatDType::BF16);
        case.state = None;
        let (output, state) = case.run(Form::Auto);
        let output = O::map_output(output, &mut Is(DType::BF16));
        let exact = case.cast(FloatDType::F32).run(Form::Auto).1;
        let state = O::map_state(state, &mut Is(DType::F32));
        // The output is rounded; the states are the same.
        let bits = |state| super::returned::<O>(&output, &state);
        bits(state).assert_close(&bits(exact), 0.0);
    }
}

/// Asserts that every tensor is of this type.
struct Is(DType);

impl super::Change for Is {
    fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
        assert_eq!(tensor.dtype(), self.0, "`{name}`");
        tensor
    }
}

/// Asserts that the gradients of the inputs are those of the output or of the state alone, if the loss uses no other.
pub(super) fn check_unused_outputs<O: MemoryOperator>(case: Case<O>, form: Form) {
    let case = case.tracked();
    let largest = |loss, name: &str| {
        let gradients = case.gradients(loss);
        gradients.values(name).iter().fold(0.0f64, |largest, x| largest.max(x.abs()))
    };
    for held in [false, true] {
        let state_loss = || {
            let (output, state) = case.run(form);
            (held.then_some(output), case.state_loss(state))
        };
        let (_output, loss) = state_loss();
        assert_eq!(largest(loss, "d_q"), 0.0);
        let (_output, loss) = state_loss();
        assert!(largest(loss, "d_k") > 0.0);
    }
    assert!(largest(case.run(form).0.sum(), "d_q") > 0.0);
}

pub fn an_output_that_the_loss_never_uses_costs_no_gradient<O: MemoryOperator>() {
    let case = Case::<O>::random(O::kind(Fading::Vector, false), &shape(20), 3, &autodiff());
    for form in [Form::Naive, Form::Chunked { size: 8 }, Form::Kernel] {
        check_unused_outputs(case.clone(), form);
    }
}
