//! The fused kernel beyond its tiles, on any number of cores, and under large scores.

use super::*;

/// More tokens and channels than a tile of the kernel has, with odd rests.
#[test]
fn the_kernel_equals_the_law_beyond_its_tiles() {
    let kernel = |case: &Case| case.outcome(Form::Kernel);
    for (batch, time, heads, window) in
        [(1, 64, [1, 1], None), (2, 65, [4, 2], Some(64)), (1, 200, [2, 1], Some(70)), (3, 129, [2, 2], None)]
    {
        let mut case = Case::random(batch, time, heads, window, 3, &autodiff());
        let mut inputs = Inputs::new(4, &autodiff());
        case.query = inputs.uniform([batch, time, heads[0], 37]);
        case.key = inputs.uniform([batch, time, heads[1], 37]);
        case.value = inputs.uniform([batch, time, heads[1], 70]);
        case.cotangent = inputs.uniform([batch, time, heads[0], 70]);
        for resets in [None, Some(inputs.flags([batch, time], 0.03))] {
            case.resets = resets;
            kernel(&case).assert_close(&case.outcome(Form::Parallel), EXACT);
        }
    }
}

#[test]
fn a_long_sequence_is_cut_for_its_gradients() {
    let mut case = Case::random(1, 1300, [2, 1], None, 3, &autodiff());
    for window in [None, Some(100)] {
        case.window = window;
        case.outcome(Form::Kernel).assert_close(&case.outcome(Form::Parallel), EXACT);
    }
}

#[test]
fn the_number_of_cores_changes_no_bit() {
    let case = Case::random(2, 1100, [4, 2], None, 3, &autodiff());
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| case.outcome(Form::Kernel))
    };
    on(3).assert_close(&on(1), 0.0);
}

#[test]
fn a_sequence_does_not_depend_on_its_neighbours_in_the_batch() {
    let case = Case::random(3, 150, [2, 1], None, 3, &plain());
    let alone = |x: &Tensor<4>| x.clone().narrow(0, 1, 1);
    let one =
        Case { query: alone(&case.query), key: alone(&case.key), value: alone(&case.value), ..case.clone() };
    assert_eq!(one.run(Form::Kernel).into_data(), case.run(Form::Kernel).narrow(0, 1, 1).into_data());
}

#[test]
fn large_scores_are_as_exact_as_small_ones() {
    let mut case = Case::random(1, 150, [2, 1], None, 3, &autodiff());
    // Up to 10,000 in the products, with keys that repeat.
    case.query = case.query * 1e4;
    case.key = Tensor::cat(vec![case.key.clone().narrow(1, 0, 75), case.key.narrow(1, 0, 75)], 1);
    let wanted = case.outcome(Form::Naive);
    for form in WHOLE {
        case.outcome(form).assert_close(&wanted, 1e-7);
    }
}

#[test]
fn single_precision_is_as_good_as_its_type() {
    let case = Case::random(1, 300, [2, 1], None, 3, &autodiff());
    let narrow = |x: &Tensor<4>| x.clone().cast(FloatDType::F32);
    let single = Case {
        query: narrow(&case.query),
        key: narrow(&case.key),
        value: narrow(&case.value),
        cotangent: narrow(&case.cotangent),
        ..case.clone()
    };
    let wanted = case.outcome(Form::Naive);
    for form in WHOLE {
        single.outcome(form).assert_close(&wanted, 2e-5);
    }
}

#[test]
fn one_token_reads_a_long_cache_in_parts() {
    let case = Case::random(2, 2003, [4, 2], None, 3, &plain());
    for window in [None, Some(700)] {
        let case = Case { window, ..case.clone() };
        let (_, state) = case.part(0, 2000, None, Form::Kernel);
        let last = |form| case.part(2000, 2003, Some(state.clone()), form).0;
        let error = (last(Form::Kernel) - last(Form::Naive)).abs().max().into_scalar::<f64>();
        assert!(error < 1e-13, "{error:e}");
    }
}
