//! Operators on no sequences, and on no tokens, heads or channels.

use burn::tensor::{Bool, DType, Device, Tensor};
use seqzoo::ops::attention::{AttentionOptions, attention};
use seqzoo::ops::causal_conv::{CausalConvOptions, causal_conv};
use seqzoo::ops::delta_rule::{Beta, DeltaRuleOptions, Keys, delta_rule, gated_delta_product};
use seqzoo::ops::linear_attention::{LinearAttentionOptions, LinearAttentionState, linear_attention};
use seqzoo::ops::{Decay, Form, Segments, repeat_heads};
use seqzoo_tests::{autodiff, plain, said};

const MEMORIES: [Form; 4] = [Form::Auto, Form::Naive, Form::Chunked { size: 4 }, Form::Kernel];
const WHOLE: [Form; 3] = [Form::Auto, Form::Naive, Form::Parallel];

fn devices() -> [Device; 2] {
    [plain(), autodiff()]
}

fn zeros<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::zeros(shape, (device, DType::F64))
}

/// `[0, 5]`, or none.
fn resets(device: &Device) -> [Option<Tensor<2, Bool>>; 2] {
    [None, Some(Tensor::full([0, 5], true, device))]
}

/// Every decay, of two heads with 3 key channels.
fn decays(batch: usize, time: usize, device: &Device) -> [Decay; 4] {
    [
        Decay::None,
        Decay::PerHead(zeros([2], device)),
        Decay::Scalar(zeros([batch, time, 1], device)),
        Decay::Vector(zeros([batch, time, 2, 3], device)),
    ]
}

#[test]
fn no_sequences_have_no_outputs() {
    for device in &devices() {
        let zeros4 = |shape| zeros::<4>(shape, device);
        let (query, value) = (zeros4([0, 5, 1, 3]), zeros4([0, 5, 2, 4]));
        let memory = zeros4([0, 2, 3, 4]);
        for (form, resets) in
            MEMORIES.into_iter().flat_map(|form| resets(device).map(|resets| (form, resets)))
        {
            for decay in decays(0, 5, device) {
                for normaliser in [None, Some(1e-6)] {
                    let sum = normaliser.map(|_| zeros::<3>([0, 2, 3], device));
                    let state = LinearAttentionState { memory: memory.clone(), key_sum: sum };
                    for initial_state in [None, Some(state)] {
                        let resets = resets.clone();
                        let segments = resets.is_some().then(|| Segments::new(5, Vec::<Vec<usize>>::new()));
                        let options = LinearAttentionOptions {
                            initial_state,
                            normaliser,
                            resets,
                            segments,
                            form,
                            scale: None,
                        };
                        let (output, state) = linear_attention(
                            query.clone(),
                            query.clone(),
                            value.clone(),
                            decay.clone(),
                            options,
                        );
                        assert_eq!((output.dims(), state.memory.dims()), ([0, 5, 2, 4], [0, 2, 3, 4]));
                        assert_eq!(state.key_sum.map(|sum| sum.dims()), normaliser.map(|_| [0, 2, 3]));
                    }
                }
                for keys in [Keys::Bounded, Keys::Unbounded, Keys::Normalise { epsilon: 1e-6 }] {
                    for initial_state in [None, Some(memory.clone())] {
                        let resets = resets.clone();
                        let segments = resets.is_some().then(|| Segments::new(5, Vec::<Vec<usize>>::new()));
                        let options =
                            DeltaRuleOptions { initial_state, keys, resets, segments, form, scale: None };
                        for beta in
                            [Beta::Scalar(zeros([0, 5, 1], device)), Beta::Vector(zeros4([0, 5, 1, 4]))]
                        {
                            let (query, value) = (query.clone(), value.clone());
                            let (output, memory) =
                                delta_rule(query.clone(), query, value, beta, decay.clone(), options.clone());
                            assert_eq!((output.dims(), memory.dims()), ([0, 5, 2, 4], [0, 2, 3, 4]));
                        }
                        let (key, value) = (zeros4([0, 15, 1, 3]), zeros4([0, 15, 2, 4]));
                        let beta = Beta::Scalar(zeros([0, 15, 2], device));
                        let (output, memory) =
                            gated_delta_product(query.clone(), key, value, beta, decay.clone(), 3, options);
                        assert_eq!((output.dims(), memory.dims()), ([0, 5, 2, 4], [0, 2, 3, 4]));
                    }
                }
            }
        }
        for (form, resets) in WHOLE.into_iter().flat_map(|form| resets(device).map(|resets| (form, resets))) {
            let segments = resets.is_some().then(|| Segments::new(5, Vec::<Vec<usize>>::new()));
            let options = CausalConvOptions { resets: resets.clone(), segments, form, ..Default::default() };
            let (output, state) = causal_conv(zeros([0, 5, 3], device), zeros([3, 4], device), options);
            assert_eq!((output.dims(), state.dims()), ([0, 5, 3], [0, 3, 3]));
            for window in [None, Some(1), Some(3)] {
                let options = AttentionOptions { resets: resets.clone(), window, form, ..Default::default() };
                let (key, value) = (zeros4([0, 5, 1, 3]), zeros4([0, 5, 1, 4]));
                let (output, state) =
                    attention(zeros4([0, 5, 2, 3]), key.clone(), value.clone(), options.clone());
                assert_eq!(output.dims(), [0, 5, 2, 4]);
                let options = AttentionOptions { initial_state: Some(state), ..options };
                assert_eq!(attention(zeros4([0, 5, 2, 3]), key, value, options).0.dims(), [0, 5, 2, 4]);
            }
        }
        assert_eq!(repeat_heads(query, 6).dims(), [0, 5, 6, 3]);
    }
}

#[test]
fn no_sequences_have_gradients() {
    let device = autodiff();
    let value = zeros::<4>([0, 5, 2, 4], &device).require_grad();
    let query = zeros::<4>([0, 5, 2, 3], &device);
    let options = LinearAttentionOptions::default;
    let (output, state) = linear_attention(query.clone(), query, value.clone(), Decay::None, options());
    let gradients = (output.sum() + state.memory.sum()).backward();
    assert_eq!(value.grad(&gradients).unwrap().dims(), [0, 5, 2, 4]);
}

#[test]
fn no_tokens_heads_or_channels_are_refused() {
    let device = &plain();
    // Batch, time, key heads, heads, key channels, value channels.
    for (shape, sentence) in [
        ([2, 0, 1, 2, 3, 4], "The argument `query` has no elements on its time axis"),
        ([0, 0, 1, 2, 3, 4], "The argument `query` has no elements on its time axis"),
        ([2, 5, 1, 2, 0, 4], "The argument `query` has no elements on its channel axis"),
        ([2, 5, 1, 2, 3, 0], "The argument `value` has no elements on its channel axis"),
        ([2, 5, 1, 0, 3, 4], "has no elements on its head axis"),
        ([2, 5, 0, 2, 3, 4], "has 0 heads, which do not divide the 2 heads"),
    ] {
        let [batch, time, key_heads, heads, key_dim, value_dim] = shape;
        let keys = || zeros::<4>([batch, time, key_heads, key_dim], device);
        let values = || zeros::<4>([batch, time, heads, value_dim], device);
        let refused = |said: String| assert!(said.contains(sentence), "{shape:?}: {said}");
        for form in MEMORIES {
            let options = LinearAttentionOptions { form, ..Default::default() };
            refused(said(|| linear_attention(keys(), keys(), values(), Decay::None, options)));
            let options = DeltaRuleOptions { form, ..Default::default() };
            let beta = || Beta::Scalar(zeros([batch, time, heads], device));
            refused(said(|| delta_rule(keys(), keys(), values(), beta(), Decay::None, options.clone())));
            refused(said(|| gated_delta_product(keys(), keys(), values(), beta(), Decay::None, 1, options)));
        }
        for form in WHOLE {
            let options = AttentionOptions { form, ..Default::default() };
            let query = zeros([batch, time, heads, key_dim], device);
            let value = zeros([batch, time, key_heads, value_dim], device);
            refused(said(|| attention(query, keys(), value, options)));
        }
    }
    for form in WHOLE {
        for (shape, axis) in [([2, 0, 3], "time"), ([2, 5, 0], "channel")] {
            let options = CausalConvOptions { form, ..Default::default() };
            let said = said(|| causal_conv(zeros(shape, device), zeros([shape[2], 4], device), options));
            assert!(
                said.contains(&format!("The argument `input` has no elements on its {axis} axis")),
                "{said}"
            );
        }
    }
    let keys = || zeros::<4>([2, 5, 1, 3], device);
    let beta = Beta::Scalar(zeros([2, 5, 1], device));
    let run =
        || gated_delta_product(keys(), keys(), keys(), beta, Decay::None, usize::MAX, Default::default());
    assert!(said(run).contains("The argument `key` has the shape [2, 5, 1, 3]"));
}
