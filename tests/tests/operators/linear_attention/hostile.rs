//! Rung 5: strong decay, none at all, long sequences, whole chunks of resets, and narrow floats.

use super::case::{Case, KINDS, Kind, Shape, shape};
use burn::tensor::{DType, FloatDType, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::linear_attention::{Decay, LinearAttentionOptions, LinearAttentionState, linear_attention};
use seqzoo_tests::{Outcome, autodiff, flags, largest_error, plain};

#[test]
fn decays_of_e_to_the_minus_30_next_to_none_at_all() {
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(150), false, 2, &autodiff());
        case = case.with_harsh_decays();
        let wanted = case.clone().outcome(Form::Naive);
        case.clone().outcome(Form::Chunked { size: 64 }).assert_close(&wanted, 1e-12);
        case.outcome(Form::Kernel).assert_close(&wanted, 1e-12);
    }
}

#[test]
fn the_gradient_of_a_tiny_decay_has_as_many_digits_as_any_other() {
    for kind in [Kind::PerHead, Kind::Scalar, Kind::Vector] {
        let case = Case::random(kind, &shape(40), false, 2, &autodiff()).with_tiny_decays();
        let wanted = case.clone().outcome(Form::Naive);
        case.clone().outcome(Form::Chunked { size: 16 }).assert_close(&wanted, 1e-12);
        case.outcome(Form::Kernel).assert_close(&wanted, 1e-12);
    }
}

#[test]
fn strong_decay_in_single_precision_is_as_good_as_in_double() {
    for kind in KINDS {
        let mut exact = Case::random(kind, &shape(200), false, 2, &plain());
        exact = exact.with_harsh_decays();
        let narrow4 = |x: &Tensor<4>| x.clone().cast(FloatDType::F32);
        let decay = match &exact.decay {
            Decay::None => Decay::None,
            Decay::PerHead(log) => Decay::PerHead(log.clone().cast(FloatDType::F32)),
            Decay::Scalar(log) => Decay::Scalar(log.clone().cast(FloatDType::F32)),
            Decay::Vector(log) => Decay::Vector(narrow4(log)),
        };
        let (q, k, v) = (narrow4(&exact.query), narrow4(&exact.key), narrow4(&exact.value));
        exact.state = None;
        let (double, _) = exact.output(Form::Naive);
        let mut wanted = Outcome::default();
        wanted.put("o", &double);
        for form in [Form::Chunked { size: 64 }, Form::Kernel] {
            let options = LinearAttentionOptions { form, ..Default::default() };
            let (single, _) = linear_attention(q.clone(), k.clone(), v.clone(), decay.clone(), options);
            let mut found = Outcome::default();
            found.put("o", &single);
            found.assert_close(&wanted, 1e-5);
        }
    }
}

#[test]
fn a_chunk_of_nothing_but_resets_keeps_only_the_last_token() {
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(40), true, 5, &autodiff());
        let resets: Vec<usize> = (3..29).collect();
        case.resets = Some(flags(3, 40, &resets, &autodiff()));
        let wanted = case.clone().outcome(Form::Naive);
        case.clone().outcome(Form::Chunked { size: 8 }).assert_close(&wanted, 1e-10);
        case.outcome(Form::Kernel).assert_close(&wanted, 1e-10);
    }
}

#[test]
fn sixty_five_thousand_tokens_stay_exact() {
    let time = 65_536;
    let kinds = [Kind::PerHead, Kind::Scalar, Kind::Vector];
    for (kind, form) in
        kinds.into_iter().flat_map(|kind| [(kind, Form::Chunked { size: 64 }), (kind, Form::Kernel)])
    {
        let shape = Shape { batch: 1, time, key_heads: 1, heads: 1, key: 4, value: 4 };
        let case = Case::random(kind, &shape, false, 1, &plain());
        let (whole, state) = case.output(form);
        // Decays forget the beginning, so the end can be recomputed from the last tokens alone.
        let tail = 4_096;
        let (part, last) = case.part(time - tail, time, None).output(Form::Naive);
        let values = |x: Tensor<4>| x.into_data().try_to_vec::<f64>().unwrap();
        let error =
            largest_error(&values(whole.narrow(1, time - 64, 64)), &values(part.narrow(1, tail - 64, 64)));
        assert!(error < 1e-10, "{kind:?}: {error:e}");
        assert!(largest_error(&values(state.memory), &values(last.memory)) < 1e-10);
    }
}

#[test]
fn a_reset_before_the_first_token_clears_even_an_infinite_state() {
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(20), false, 3, &plain());
        case.resets = Some(flags(3, 20, &[0, 7], &plain()));
        let wanted = case.output(Form::Chunked { size: 8 }).0;
        let memory = case.state.take().unwrap().memory;
        let infinite = memory.clone() * f64::INFINITY;
        case.state = Some(LinearAttentionState { memory: infinite, key_sum: None });
        for form in [Form::Naive, Form::Chunked { size: 8 }, Form::Kernel] {
            let (output, state) = case.output(form);
            let error = (output - wanted.clone()).abs().max().into_scalar::<f64>();
            assert!(error < 1e-12 && !state.memory.contains_nan().into_scalar::<bool>(), "{kind:?}: {error}");
        }
    }
}

#[test]
fn bf16_inputs_accumulate_in_f32() {
    let case = Case::random(Kind::Vector, &shape(300), false, 3, &plain());
    let bf16 = |x: &Tensor<4>| x.clone().cast(FloatDType::BF16);
    let Decay::Vector(log) = &case.decay else { unreachable!() };
    let (q, k, v, g) = (bf16(&case.query), bf16(&case.key), bf16(&case.value), bf16(log));
    let run = |q, k, v, g| linear_attention(q, k, v, Decay::Vector(g), LinearAttentionOptions::default());
    let (output, state) = run(q.clone(), k.clone(), v.clone(), g.clone());
    assert_eq!(output.dtype(), DType::BF16);
    assert_eq!(state.memory.dtype(), DType::F32);
    let f32 = |x: Tensor<4>| x.cast(FloatDType::F32);
    let (_, exact) = run(f32(q), f32(k), f32(v), f32(g));
    assert_eq!(state.memory.into_data(), exact.memory.into_data());
}

#[test]
fn an_output_that_the_loss_never_uses_costs_no_gradient() {
    let case = Case::random(Kind::Vector, &shape(20), false, 3, &autodiff()).tracked();
    for form in [Form::Naive, Form::Chunked { size: 8 }, Form::Kernel] {
        let (output, state) = case.output(form);
        let norm = |x: &Tensor<4>, gradients: &burn::tensor::Gradients| {
            x.grad(gradients).map_or(0.0, |g| g.abs().max().into_scalar::<f64>())
        };
        let gradients = state.memory.sum().backward();
        assert_eq!(norm(&case.query, &gradients), 0.0);
        assert!(norm(&case.key, &gradients) > 0.0);
        drop(output);
        let (output, _) = case.output(form);
        assert!(norm(&case.query, &output.sum().backward()) > 0.0);
    }
}

#[test]
#[should_panic(expected = "has no elements on its time axis")]
fn no_tokens_are_refused() {
    let device = plain();
    let empty = Tensor::<4>::zeros([1, 0, 1, 2], &device);
    linear_attention(empty.clone(), empty.clone(), empty, Decay::None, LinearAttentionOptions::default());
}

#[test]
#[should_panic(expected = "`value` has no elements on its channel axis")]
fn no_channels_are_refused() {
    let keys = Tensor::<4>::zeros([1, 3, 1, 2], &plain());
    let values = Tensor::<4>::zeros([1, 3, 1, 0], &plain());
    linear_attention(keys.clone(), keys, values, Decay::None, LinearAttentionOptions::default());
}

#[test]
#[should_panic(expected = "`query` has no elements on its channel axis")]
fn no_key_channels_are_refused() {
    let keys = Tensor::<4>::zeros([1, 3, 1, 0], &plain());
    let values = Tensor::<4>::zeros([1, 3, 1, 2], &plain());
    linear_attention(keys.clone(), keys, values, Decay::None, LinearAttentionOptions::default());
}
