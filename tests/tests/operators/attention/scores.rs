//! What is added to scores, and tokens that see later ones.

use super::*;

#[test]
fn forgetting_attention_equals_the_reference() {
    let device = autodiff();
    let golden = Golden::load("14_forgetting_attn__t17");
    let case = Case {
        query: golden.tensor("q", &device),
        key: golden.tensor("k", &device),
        value: golden.tensor("v", &device),
        window: None,
        bidirectional: false,
        log_decay: Some(golden.tensor("g", &device)),
        sinks: None,
        prefix: None,
        resets: None,
        cotangent: golden.tensor("do", &device),
    };
    for form in FORMS {
        let outcome = case.outcome(form);
        for (ours, theirs) in
            [("o", "o"), ("d_q", "d_q"), ("d_k", "d_k"), ("d_v", "d_v"), ("d_log_decay", "d_g")]
        {
            let error = largest_error(outcome.values(ours), golden.values(theirs));
            assert!(error <= 2e-6, "{form:?}: `{theirs}` differs by {error:e}");
        }
    }
}

#[test]
fn every_split_keeps_log_decays_and_sinks() {
    for (window, resets) in [(None, false), (Some(5), true)] {
        let mut case = Case::random(2, 20, [4, 2], window, 1, &autodiff()).with(true, true);
        case.resets = resets.then(|| Inputs::new(4, &autodiff()).flags([2, 20], 0.15));
        let wanted = case.outcome(Form::Naive);
        for split in 1..20 {
            case.outcome_of(|case| case.in_parts(&[split, 20])).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn both_directions_are_the_same_in_all_forms() {
    for (time, window) in [(9, None), (9, Some(3)), (150, Some(70)), (300, None), (5, Some(1))] {
        for resets in [false, true] {
            let mut case =
                Case::random(2, time, [4, 2], window, 1, &autodiff()).with(false, true).with_prefix(2);
            case.bidirectional = true;
            case.resets = resets.then(|| Inputs::new(4, &autodiff()).flags([2, time], 0.1));
            let wanted = case.outcome(Form::Naive);
            for form in WHOLE {
                case.outcome(form).assert_close(&wanted, EXACT);
            }
            // With a cache, which all see.
            let after = |form| {
                let (_, state) = case.part(0, 4, None, Form::Naive);
                case.part(4, time, Some(state), form).0
            };
            for form in WHOLE {
                let error = (after(form) - after(Form::Naive)).abs().max().into_scalar::<f64>();
                assert!(error < EXACT, "{form:?}: {error:e}");
            }
        }
    }
}

#[test]
fn both_directions_see_what_comes() {
    let mut case = Case::random(1, 5, [1, 1], None, 1, &plain());
    case.bidirectional = true;
    // Backwards, the same tokens give the same.
    let turned = |x: &Tensor<4>| x.clone().flip([1]);
    let backwards = Case {
        query: turned(&case.query),
        key: turned(&case.key),
        value: turned(&case.value),
        ..case.clone()
    };
    for form in FORMS {
        let error = (turned(&backwards.run(form)) - case.run(form)).abs().max().into_scalar::<f64>();
        assert!(error < 1e-14, "{form:?}: {error:e}");
    }
}

#[test]
fn a_sink_is_a_key_without_a_value() {
    let case = Case::random(2, 9, [2, 1], Some(4), 1, &plain()).with(false, true);
    let without = Case { sinks: None, ..case.clone() };
    let never = Case { sinks: Some(case.sinks.clone().unwrap() - 1e4), ..case.clone() };
    let always = Case { sinks: Some(case.sinks.clone().unwrap() + 1e4), ..case.clone() };
    for form in FORMS {
        let most = |x: Tensor<4>| x.abs().max().into_scalar::<f64>();
        assert!(most(never.run(form) - without.run(form)) < 1e-14, "{form:?}");
        assert_eq!(most(always.run(form)), 0.0, "{form:?}");
    }
}

#[test]
fn a_fixed_log_decay_counts_the_tokens_between() {
    // ALiBi: the score falls by the slope with every token between.
    let mut case = Case::random(1, 7, [1, 1], None, 1, &plain());
    case.log_decay = Some(case.query.clone().narrow(3, 0, 1).zeros_like().reshape([1, 7, 1]) - 0.25);
    let scores = case.query.clone().swap_dims(1, 2).matmul(case.key.clone().permute([0, 2, 3, 1])) * 0.5;
    let places = Tensor::<1, burn::tensor::Int>::arange(0..7, &plain()).float().cast(FloatDType::F64);
    let apart = places.clone().reshape([7, 1]).expand([7, 7]) - places.reshape([1, 7]).expand([7, 7]);
    let hidden = apart.clone().lower_scalar(0.0).unsqueeze::<4>();
    let scores = (scores - apart.unsqueeze::<4>() * 0.25).mask_fill(hidden, -1e30);
    let wanted = burn::tensor::activation::softmax(scores, 3)
        .matmul(case.value.clone().swap_dims(1, 2))
        .swap_dims(1, 2);
    for form in FORMS {
        let error = (case.run(form) - wanted.clone()).abs().max().into_scalar::<f64>();
        assert!(error < 1e-14, "{form:?}: {error:e}");
    }
}

#[test]
fn log_decays_stay_exact_over_long_sequences() {
    let case = Case::random(1, 3000, [1, 1], None, 1, &plain()).with(true, false);
    let single = |x: &Tensor<4>| x.clone().cast(FloatDType::F32);
    let narrow = Case {
        query: single(&case.query),
        key: single(&case.key),
        value: single(&case.value),
        log_decay: case.log_decay.clone().map(|x| x.cast(FloatDType::F32)),
        ..case.clone()
    };
    let wanted = case.run(Form::Kernel);
    for form in WHOLE {
        let error =
            (narrow.run(form).cast(FloatDType::F64) - wanted.clone()).abs().max().into_scalar::<f64>();
        // `Parallel` sums up to 256 of them in f32.
        assert!(error < 1e-5, "{form:?}: {error:e}");
    }
}

#[test]
#[should_panic(expected = "`log_decay` and `bidirectional` are given together")]
fn a_decay_in_both_directions_is_refused() {
    let case = Case::random(1, 3, [1, 1], None, 1, &plain()).with(true, false);
    Case { bidirectional: true, ..case }.run(Form::Auto);
}

#[test]
#[should_panic(expected = "The initial state has no log decays, but the call has some")]
fn a_cache_without_decays_is_refused() {
    let case = Case::random(1, 3, [1, 1], None, 1, &plain());
    let (_, state) = case.part(0, 2, None, Form::Auto);
    case.with(true, false).part(2, 3, Some(state), Form::Auto);
}
