//! Test-time training as a layer.

use burn::module::Param;
use burn::tensor::{DType, Tensor, activation::silu};
use seqzoo::layers::*;
use seqzoo::ops::ttt::{InnerModel, Residual, Steps, TttOptions, ttt};
use seqzoo::parts::Rotary;
use seqzoo::{MixerState, SequenceMixer};
use seqzoo_tests::{Inputs, double, flags, largest_error, plain, said, values};

fn config() -> TttConfig {
    TttConfig::new(12).with_num_heads(2).with_chunk(4)
}

/// The layer with steps of zero, whatever its tokens are.
fn frozen(layer: &Ttt) -> Ttt {
    let mut layer = layer.clone();
    layer.rates.token.bias = Some(Param::from_tensor(Tensor::full([2], -1e4, (&plain(), DType::F64))));
    layer
}

#[test]
fn the_layer_is_the_operator_between_its_projections() {
    for depth in [1, 2] {
        plain().seed(2);
        let layer = double(config().with_depth(depth).with_conv_size(None).init(&plain()));
        let input = Inputs::new(4, &plain()).uniform::<3>([2, 9, 12]);
        let heads = |x: Tensor<3>| x.reshape([2, 9, 2, 6]);
        let projected = |linear: &burn::nn::Linear| heads(linear.forward(input.clone()));
        // Places 0 1 2 3 0 1 2 3 0.
        let table = Rotary::new("test", 10000.0, 6).unwrap().at(0, 4, 6, DType::F64, &plain());
        let rotated = |x: Tensor<4>| {
            let chunks = [0, 4, 8].map(|from| {
                let count = 4.min(9 - from);
                let rows = Tensor::<1, burn::tensor::Int>::arange(0..count as i64, &plain());
                let places = rows.unsqueeze::<2>().expand([2, count]);
                table.select(&places).apply(x.clone().narrow(1, from, count))
            });
            Tensor::cat(chunks.to_vec(), 1)
        };
        let base = if depth == 1 { 1.0 } else { 0.1 };
        let logits = layer.rates.token.forward(input.clone());
        let write = burn::tensor::activation::sigmoid(logits) * (base / 6.0);
        let read: Vec<f64> = (0..9).map(|token| 1.0 / (token % 4 + 1) as f64).collect();
        let read = Tensor::<1>::from_data(read.as_slice(), (&plain(), DType::F64)).reshape([1, 9, 1]);
        let steps = Steps { read: read.expand([2, 9, 2]), write: Some(write) };
        let options =
            TttOptions { chunk: 4, scale: Some(1.0), residual: Residual::Query, ..Default::default() };
        let (q, k, v) = (projected(&layer.query), projected(&layer.key), projected(&layer.value));
        let (model, norm) = (layer.initial.model(), layer.initial.norm());
        let (read, _) = ttt(rotated(q), rotated(k), v, steps, model, norm, options);
        let gate = heads(layer.gate.as_ref().unwrap().forward(input.clone()));
        let read = layer.norm.norm.forward(read) * silu(gate);
        let wanted = layer.output.forward(read.reshape([2, 9, 12]));
        let found = layer.forward(input, None).0;
        let error = largest_error(&values(found), &values(wanted));
        assert!(error < 1e-12, "{depth} layers: {error:e}");
    }
}

#[test]
fn an_untrained_layer_is_stable_on_one_token_repeated() {
    for (depth, chunk) in [(1, 1), (1, 64), (2, 16), (2, 64), (3, 16)] {
        plain().seed(3);
        let layer = config().with_depth(depth).with_chunk(chunk).init(&plain());
        let input = Inputs::single(4, &plain()).uniform::<3>([1, 1, 12]).repeat_dim(1, 2000);
        let (output, state) = layer.forward(input, None);
        assert!(values(output).iter().all(|x| x.is_finite()));
        for weights in state.inner.model.weights {
            assert!(values(weights).iter().all(|x| x.abs() < 100.0), "{depth} layers, chunks of {chunk}");
        }
    }
}

#[test]
fn tokens_are_answered_better_by_a_model_that_has_read_them_than_by_one_that_has_read_others() {
    for depth in [1, 2] {
        plain().seed(5);
        let device = plain();
        let layer = double(config().with_depth(depth).with_rotary(false).with_conv_size(None).init(&device));
        let mut random = Inputs::new(4, &device);
        let mut read = || {
            let tokens = random.uniform::<3>([1, 4, 12]) * 3.0;
            let (_, state) = layer.forward(tokens.clone().repeat_dim(1, 100), None);
            (tokens, state.inner.model)
        };
        let ((tokens, own), (_, other)) = (read(), read());
        let heads = |linear: &burn::nn::Linear| linear.forward(tokens.clone()).reshape([1, 4, 2, 6]);
        let (key, value) = (heads(&layer.key), heads(&layer.value));
        let loss = |model: InnerModel| {
            let none = Steps { read: Tensor::zeros([1, 4, 1], (&device, DType::F64)), write: None };
            let options = TttOptions { scale: Some(1.0), residual: Residual::Query, ..Default::default() };
            let (query, norm) = (key.clone(), layer.initial.norm());
            let (answer, _) = ttt(query, key.clone(), value.clone(), none, model, norm, options);
            (answer - value.clone()).square().sum().into_scalar::<f64>()
        };
        let (own, other) = (loss(own), loss(other));
        assert!(own < 0.7 * other, "{depth} layers: {own} and {other}");
    }
}

#[test]
fn untrained_rates_are_what_their_documentation_says() {
    let device = plain();
    for (depth, base_lr, write) in [(1, None, 0.5 / 6.0), (2, None, 0.05 / 6.0), (2, Some(3.0), 1.5 / 6.0)] {
        let layer = double(config().with_depth(depth).with_base_lr(base_lr).init(&device));
        let places = Tensor::<2, burn::tensor::Int>::from_ints([[2, 3, 0]], &device);
        let steps = layer.rates.forward(Tensor::zeros([1, 3, 12], (&device, DType::F64)), &places);
        assert!(values(steps.write.unwrap()).iter().all(|x| (x - write).abs() < 1e-12));
        assert!(largest_error(&values(steps.read), &[1.0 / 3.0, 0.25, 1.0]) < 1e-15);
    }
    let mut layer = double(config().init(&device));
    let learned = Tensor::from_data([-2.0, 0.0, 0.5, 0.0], (&device, DType::F64));
    layer.rates.place = Param::from_tensor(learned);
    let places = Tensor::<2, burn::tensor::Int>::from_ints([[0, 2]], &device);
    let steps = layer.rates.forward(Tensor::zeros([1, 2, 12], (&device, DType::F64)), &places);
    assert!(largest_error(&values(steps.read), &[0.0, 1.0 / 3.0 + 0.5]) < 1e-15, "no step is below 0");
}

#[test]
fn the_inner_model_alone_tells_of_earlier_tokens() {
    let device = plain();
    device.seed(9);
    let layer = double(config().with_conv_size(None).init(&device));
    let input = Inputs::new(4, &device).uniform::<3>([1, 12, 12]);
    let token = Tensor::ones([1, 1, 12], (&device, DType::F64));
    let changed = input.clone().slice_assign([0..1, 1..2, 0..12], token);
    let last = |layer: &Ttt, input: &Tensor<3>| layer.forward(input.clone(), None).0.narrow(1, 8, 4);
    let difference =
        |layer: &Ttt| largest_error(&values(last(layer, &changed)), &values(last(layer, &input)));
    assert!(difference(&layer) > 1e-6);
    assert_eq!(difference(&frozen(&layer)), 0.0);
}

#[test]
fn places_begin_again_at_a_reset() {
    let device = plain();
    let layer = double(config().with_conv_size(None).init(&device));
    let input = Inputs::new(4, &device).uniform::<3>([1, 9, 12]);
    let (packed, state) = layer.forward_packed(input.clone(), Some(flags(1, 9, &[5], &device)), None);
    let (alone, last) = layer.forward(input.narrow(1, 5, 4), None);
    assert!(largest_error(&values(packed.narrow(1, 5, 4)), &values(alone)) < 1e-12);
    assert_eq!((state.inner.places(), last.inner.places()), (vec![0], vec![0]));
}

#[test]
fn sequences_out_of_step_are_as_each_alone() {
    let device = plain();
    let layer = double(config().with_depth(2).init(&device));
    let input = Inputs::new(4, &device).uniform::<3>([3, 23, 12]);
    let resets = Tensor::cat(
        vec![flags(1, 10, &[3], &device), flags(1, 10, &[], &device), flags(1, 10, &[0, 9], &device)],
        0,
    );
    let (first, state) = layer.forward_packed(input.clone().narrow(1, 0, 10), Some(resets.clone()), None);
    assert_eq!(state.inner.places(), [3, 2, 1]);
    let (second, _) = layer.forward(input.clone().narrow(1, 10, 13), Some(state));
    let all = Tensor::cat(vec![first, second], 1);
    for row in 0..3 {
        let input = input.clone().narrow(0, row, 1);
        let resets = resets.clone().narrow(0, row, 1);
        let (first, alone) = layer.forward_packed(input.clone().narrow(1, 0, 10), Some(resets), None);
        let (second, _) = layer.forward(input.narrow(1, 10, 13), Some(alone));
        let found = all.clone().narrow(0, row, 1);
        let error = largest_error(&values(Tensor::cat(vec![first, second], 1)), &values(found));
        assert!(error < 1e-11, "row {row}: {error:e}");
    }
}

#[test]
fn a_state_is_as_large_as_the_documentation_says_and_of_its_chunks() {
    let layer = config().with_depth(2).with_conv_size(None).init(&plain());
    let (d, h) = (6, 24);
    let state = layer.init_state(1, &plain());
    assert_eq!(state.bytes().total(), 8 * 2 * (2 * d * h + h + d) + 4);
    let linear = config().with_conv_size(None).init(&plain());
    assert_eq!(linear.init_state(1, &plain()).bytes().total(), 8 * 2 * (d * d + d) + 4);

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.safetensors");
    state.save(&path).unwrap();
    let other = config().with_depth(2).with_conv_size(None).with_chunk(8).init(&plain());
    let refusal = other.load_state(&path, &plain()).unwrap_err().to_string();
    assert!(refusal.contains("`inner.position.end` is 4, but 8 is wanted"), "{refusal}");
    let said = said(|| other.forward(Tensor::zeros([1, 1, 12], &plain()), Some(state.clone())));
    assert!(said.contains("is of chunks of 4 tokens, but the option `chunk` is 8"), "{said}");
}
