//! Rung 4: splits, steps, packing, causality and batch invariance.

use super::change::{ChangedToken, Row, Tokens, TwoHeads};
use super::{Case, MemoryOperator, Operator, available, outcome};
use crate::operators::{Shape, shape};
use crate::{autodiff, plain};
use seqzoo::ops::Form;

const EXACT: f64 = 1e-10;

pub fn every_split_gives_the_same_outputs_states_and_gradients<O: Operator>() {
    for kind in O::KINDS {
        let case = Case::<O>::random(*kind, &O::shape(40), 4, &autodiff());
        let wanted = case.clone().outcome(Form::Auto);
        // Within one chunk, and across several that the splits cut anywhere.
        for form in [Form::Auto, Form::Chunked { size: 8 }] {
            for split in 1..40 {
                let parts = case.clone().outcome_of(|case| case.in_parts([split, 40], form));
                parts.assert_close(&wanted, EXACT);
            }
        }
        case.outcome_of(|case| case.in_parts(1..=40, Form::Auto)).assert_close(&wanted, EXACT);
    }
}

pub fn single_tokens_without_a_tape_give_the_same<O: Operator>() {
    for kind in O::KINDS {
        let case = Case::<O>::random(*kind, &O::shape(19), 4, &plain()).with_resets_at(&[0, 7]);
        let (output, state) = case.in_parts(1..=19, Form::Auto);
        let difference =
            super::returned::<O>(&output, &state).largest_difference(&case.returned(Form::Naive));
        assert!(difference < 1e-12, "{kind:?}: {difference:e}");
    }
}

pub fn packed_sequences_equal_separate_ones<O: Operator>() {
    let starts = [0, 1, 7, 8, 20, 33];
    for kind in O::KINDS {
        let mut case = Case::<O>::random(*kind, &O::shape(33), 6, &autodiff());
        case.state = None;
        let packed = case.clone().with_resets_at(&starts);
        let wanted = case.outcome_of(|case| {
            let parts = starts.windows(2).map(|ends| case.part(ends[0], ends[1], None).run(Form::Naive));
            let (outputs, states): (Vec<_>, Vec<_>) = parts.unzip();
            (O::join(outputs), states.into_iter().last().expect("there is a part"))
        });
        for form in available::<O>(&[Form::Chunked { size: 16 }, Form::Kernel, Form::Naive]) {
            packed.clone().outcome(form).assert_close(&wanted, EXACT);
        }
    }
}

pub fn a_token_changes_nothing_before_it<O: Operator>() {
    for kind in O::KINDS {
        for time in [5, 40] {
            let case = Case::<O>::random(*kind, &O::shape(time), 7, &plain());
            for token in [1, time / 2, time - 1] {
                for (factor, offset) in [(0.5, 0.0), (1.0, 1.0)] {
                    let mut other = case.clone();
                    other.inputs = other.inputs.map(&mut ChangedToken { token, factor, offset });
                    for form in available::<O>(&[Form::Naive, Form::Chunked { size: 16 }, Form::Kernel]) {
                        let before = |case: &Case<O>| {
                            outcome::<O>(O::map_output(case.run(form).0, &mut Tokens(0..token)))
                        };
                        before(&case).assert_close(&before(&other), 0.0);
                    }
                }
            }
        }
    }
}

pub fn a_sequence_does_not_depend_on_its_neighbours_in_the_batch<O: Operator>() {
    for kind in O::KINDS {
        for form in available::<O>(&[Form::Chunked { size: 64 }, Form::Kernel]) {
            let case = Case::<O>::random(*kind, &O::shape(37), 8, &plain());
            let all = case.run(form).0;
            for row in 0..3 {
                let alone = outcome::<O>(case.row(row).run(form).0);
                alone.assert_close(&outcome::<O>(O::map_output(all.clone(), &mut Row(row))), 0.0);
            }
        }
    }
}

pub fn heads_that_do_not_group_are_refused<O: MemoryOperator>() {
    let shape = Shape { batch: 1, time: 3, key_heads: 3, heads: 4, key: 2, value: 2 };
    Case::<O>::random(O::KINDS[0], &shape, 1, &plain()).run(Form::Auto);
}

pub fn gates_may_have_fewer_heads_than_the_values<O: MemoryOperator>() {
    for kind in O::KINDS {
        let case = Case::<O>::random(*kind, &shape(20), 9, &plain());
        let [few, all] = [false, true].map(|repeated| Case {
            inputs: case.inputs.clone().map(&mut TwoHeads { repeated }),
            ..case.clone()
        });
        for form in [Form::Naive, Form::Chunked { size: 8 }, Form::Kernel] {
            assert_eq!(few.run(form).0.into_data(), all.run(form).0.into_data(), "{kind:?}");
        }
    }
}
