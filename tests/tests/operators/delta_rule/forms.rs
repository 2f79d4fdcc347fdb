//! Rung 2: the chunked form and the kernel are the recurrence, in values, states and all gradients.

use super::case::{Case, KINDS, Shape, shape};
use proptest::prelude::*;
use seqzoo::ops::Form;
use seqzoo_tests::{Inputs, autodiff};

const EXACT: f64 = 1e-9;

fn check_at_lengths(form: Form, lengths: &[usize]) {
    for kind in KINDS {
        for time in lengths {
            let case = Case::random(kind, &shape(*time), *time as u64, &autodiff());
            let wanted = case.clone().outcome(Form::Naive);
            case.outcome(form).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn chunked_equals_naive_at_awkward_lengths() {
    check_at_lengths(Form::Chunked { size: 8 }, &[1, 2, 7, 8, 9, 29]);
}

#[test]
fn the_kernel_equals_naive_at_awkward_lengths() {
    // Its blocks have 16 tokens and its chunks 32; substitution goes by 4.
    check_at_lengths(Form::Kernel, &[1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 3 * 32 + 5]);
}

#[test]
fn the_kernel_equals_naive_at_awkward_widths() {
    for kind in KINDS {
        for (key, value) in [(1, 1), (8, 16), (9, 40), (40, 17), (64, 1)] {
            let shape = Shape { batch: 2, time: 45, key_heads: 1, heads: 2, key, value };
            let mut case = Case::random(kind, &shape, 6, &autodiff());
            case.resets = Some(Inputs::new(4, &autodiff()).flags([2, 45], 0.05));
            let wanted = case.clone().outcome(Form::Naive);
            case.outcome(Form::Kernel).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn the_default_chunk_equals_naive_at_its_own_edges() {
    for kind in KINDS {
        for time in [63, 64, 65, 3 * 64 + 5] {
            let shape = Shape { batch: 1, time, key_heads: 1, heads: 1, key: 4, value: 6 };
            let case = Case::random(kind, &shape, 9, &autodiff());
            case.clone().outcome(Form::Chunked { size: 64 }).assert_close(&case.outcome(Form::Naive), EXACT);
        }
    }
}

#[test]
fn every_chunk_size_gives_the_same() {
    for kind in KINDS {
        let case = Case::random(kind, &shape(21), 5, &autodiff());
        let wanted = case.clone().outcome(Form::Naive);
        for size in [1, 2, 4, 16, 32, 128] {
            case.clone().outcome(Form::Chunked { size }).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn resets_are_the_same_in_all_forms() {
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(29), 3, &autodiff());
        case.resets = Some(Inputs::new(8, &autodiff()).flags([3, 29], 0.2));
        let wanted = case.clone().outcome(Form::Naive);
        case.clone().outcome(Form::Chunked { size: 8 }).assert_close(&wanted, EXACT);
        case.outcome(Form::Kernel).assert_close(&wanted, EXACT);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_shape_and_any_decay_gives_the_same(
        kind in prop::sample::select(KINDS.to_vec()),
        batch in 1usize..3,
        time in 1usize..70,
        key_heads in 1usize..3,
        group in 1usize..3,
        key in 1usize..6,
        value in 1usize..6,
        log_size in 0u32..6,
        reset_rate in prop::sample::select(vec![0.0, 0.1, 0.9]),
        seed: u64,
    ) {
        let shape = Shape { batch, time, key_heads, heads: key_heads * group, key, value };
        let mut case = Case::random(kind, &shape, seed, &autodiff());
        case.resets = (reset_rate > 0.0).then(|| Inputs::new(seed, &autodiff()).flags([batch, time], reset_rate));
        let wanted = case.clone().outcome(Form::Naive);
        case.clone().outcome(Form::Chunked { size: 1 << log_size }).assert_close(&wanted, EXACT);
        case.outcome(Form::Kernel).assert_close(&wanted, EXACT);
    }
}
