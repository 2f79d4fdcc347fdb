//! Rung 2: the chunked form and the kernel are the recurrence, in values, states and all gradients.

use super::{Case, MemoryOperator, Operator, available};
use crate::autodiff;
use crate::operators::{Fading, Shape};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use seqzoo::ops::Form;

/// Asserts that `case` has the same outcome in `forms` as in the recurrence.
#[track_caller]
fn assert_is_the_law<O: Operator>(case: Case<O>, forms: &[Form]) {
    let wanted = case.clone().outcome(Form::Naive);
    for form in available::<O>(forms) {
        case.clone().outcome(form).assert_close(&wanted, O::TOLERANCE.exact);
    }
}

fn at_lengths<O: Operator>(form: Form, lengths: &[usize]) {
    for kind in O::KINDS {
        for time in lengths {
            assert_is_the_law::<O>(Case::random(*kind, &O::shape(*time), *time as u64, &autodiff()), &[form]);
        }
    }
}

pub fn chunked_equals_naive_at_awkward_lengths<O: Operator>() {
    at_lengths::<O>(Form::Chunked { size: 8 }, &[1, 2, 7, 8, 9, 29]);
}

pub fn the_kernel_equals_naive_at_awkward_lengths<O: Operator>() {
    // Its blocks have 16 tokens and its chunks 32; substitution goes by 4.
    let lengths = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 3 * 32 + 5];
    at_lengths::<O>(Form::Kernel, &lengths);
}

pub fn the_kernel_equals_naive_at_awkward_widths<O: MemoryOperator>() {
    for kind in O::KINDS {
        for (key, value) in [(1, 1), (8, 16), (9, 40), (40, 17), (64, 1)] {
            let shape = Shape { batch: 2, time: 45, key_heads: 1, heads: 2, key, value };
            let case = Case::<O>::random(*kind, &shape, 6, &autodiff()).with_resets(4, 0.05);
            assert_is_the_law(case, &[Form::Kernel]);
        }
    }
}

pub fn the_default_chunk_equals_naive_at_its_own_edges<O: MemoryOperator>() {
    for kind in O::KINDS {
        for time in [63, 64, 65, 3 * 64 + 5] {
            let shape = Shape { batch: 1, time, key_heads: 1, heads: 1, key: 4, value: 6 };
            let case = Case::<O>::random(*kind, &shape, 9, &autodiff());
            assert_is_the_law(case, &[Form::Chunked { size: 64 }]);
        }
    }
}

pub fn every_chunk_size_gives_the_same<O: Operator>() {
    for kind in O::KINDS {
        let case = Case::<O>::random(*kind, &O::shape(21), 5, &autodiff());
        assert_is_the_law(case, &[1, 2, 4, 16, 32, 128].map(|size| Form::Chunked { size }));
    }
}

pub fn resets_are_the_same_in_all_forms<O: Operator>() {
    for kind in O::KINDS {
        let case = Case::<O>::random(*kind, &O::shape(29), 3, &autodiff()).with_resets(8, 0.2);
        assert_is_the_law(case, &[Form::Chunked { size: 8 }, Form::Kernel]);
    }
}

/// `source` is the file of the test, by which proptest finds the cases that have failed before: they hold as long as
/// what is drawn here stays what it is, in this order.
pub fn any_shape_and_any_decay_gives_the_same<O: MemoryOperator>(source: &'static str) {
    let drawn = (
        prop::sample::select(vec![Fading::None, Fading::PerHead, Fading::Scalar, Fading::Vector]),
        (1usize..3, 1usize..70, 1usize..3, 1usize..3, 1usize..6, 1usize..6),
        0u32..6,
        any::<bool>(),
        prop::sample::select(vec![0.0, 0.1, 0.9]),
        any::<u64>(),
    );
    let config = ProptestConfig { source_file: Some(source), ..ProptestConfig::with_cases(48) };
    let result = TestRunner::new(config).run(&drawn, |(decay, extents, log_size, more, reset_rate, seed)| {
        let (batch, time, key_heads, group, key, value) = extents;
        let shape = Shape { batch, time, key_heads, heads: key_heads * group, key, value };
        let mut case = Case::<O>::random(O::kind(decay, more), &shape, seed, &autodiff());
        if reset_rate > 0.0 {
            case = case.with_resets(seed, reset_rate);
        }
        assert_is_the_law(case, &[Form::Chunked { size: 1 << log_size }, Form::Kernel]);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
