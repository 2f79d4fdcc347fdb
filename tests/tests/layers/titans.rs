//! Neural memory and the layers that join it with attention.

use super::golden::STORED;
use burn::module::Param;
use burn::tensor::{DType, Tensor, activation::silu};
use seqzoo::layers::*;
use seqzoo::ops::attention::{AttentionOptions, Prefix, attention};
use seqzoo::ops::neural_memory::{NeuralMemoryOptions, neural_memory, retrieve};
use seqzoo::parts::{RmsNorm, Rotary};
use seqzoo::{MixerState, SequenceMixer};
use seqzoo_tests::{Golden, Inputs, autodiff, double, flags, largest_error, plain, said, values};

/// The channels of 2 heads of 4, from rotated pairs that stand next to each other to pairs that stand half a head apart.
const PAIRS: [i64; 8] = [0, 2, 1, 3, 4, 6, 5, 7];

#[test]
fn attention_with_a_prefix_in_segments_equals_titans_pytorch() {
    let (device, golden) = (autodiff(), Golden::load("10_titans_segmented_attn__t10_w4"));
    let mut norm = double(RmsNorm::new(8, f64::EPSILON, &device));
    norm.gamma = Param::from_tensor(golden.tensor("params.norm.weight", &device));
    let pairs = Tensor::<1, burn::tensor::Int>::from_data(PAIRS, &device);
    let persistent = golden.tensor::<4>("params.persistent_memory", &device).require_grad(); // [2, H, P, d]
    let prefix = |index: usize| persistent.clone().narrow(0, index, 1).swap_dims(1, 2);
    let input = golden.tensor::<3>("x", &device).require_grad();

    let projections = golden.tensor::<2>("params.to_qkv.weight", &device).transpose();
    let projected = norm.forward(input.clone()).matmul(projections.unsqueeze());
    let part = |index: usize| projected.clone().narrow(2, 8 * index, 8);
    let heads = |x: Tensor<3>| x.reshape([2, 10, 2, 4]);
    let rotation = Rotary::new("test", 10000.0, 4).unwrap().at(0, 10, 4, DType::F64, &device);
    let rotated = |index| rotation.apply(heads(part(index).select(2, pairs.clone())));
    let options = AttentionOptions {
        // Their queries are rotated even where they ask what has no place.
        prefix: Some(Prefix {
            query: None,
            keys: prefix(0).select(3, pairs.clone().narrow(0, 0, 4)),
            values: prefix(1),
        }),
        resets: Some(flags(2, 10, &[0, 4, 8], &device)),
        ..Default::default()
    };
    let (read, _) = attention(rotated(0), rotated(1), heads(part(2)), options);
    let out = golden.tensor::<2>("params.to_out.weight", &device).transpose();
    let output = read.reshape([2, 10, 8]).matmul(out.unsqueeze());
    let close = |found: Vec<f64>, name: &str| {
        let error = largest_error(&found, golden.values(name));
        assert!(error <= STORED, "`{name}` differs by {error:e}");
    };
    close(values(output.clone()), "o");
    let gradients = (output * golden.tensor("do", &device)).sum().backward();
    close(values(input.grad(&gradients).unwrap()), "d_x");
    close(values(persistent.grad(&gradients).unwrap()), "d_params.persistent_memory");
}

fn memory() -> NeuralMemoryConfig {
    NeuralMemoryConfig::new(12).with_num_heads(2).with_expand_hidden(1.0).with_chunk(4)
}

#[test]
fn an_untrained_memory_is_stable_on_one_token_repeated() {
    for (depth, chunk) in [(1, 1), (1, 64), (2, 16), (2, 64), (3, 16)] {
        plain().seed(3);
        let layer = memory().with_depth(depth).with_chunk(chunk).init(&plain());
        let input = Inputs::single(4, &plain()).uniform::<3>([1, 1, 12]).repeat_dim(1, 2000);
        let (_, state) = layer.forward(input, None);
        for weights in state.memory.weights {
            assert!(values(weights).iter().all(|x| x.abs() < 10.0), "{depth} layers, chunks of {chunk}");
        }
    }
}

#[test]
fn what_comes_again_surprises_less() {
    plain().seed(5);
    let layer = memory().with_depth(1).with_conv_size(None).init(&plain()).with_surprise();
    let tokens = Inputs::single(4, &plain()).uniform::<3>([1, 4, 12]);
    let (_, state) = layer.forward(tokens.clone().repeat_dim(1, 200), None);
    let loss = values(state.surprise().unwrap().loss.clone());
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(
        mean(&loss[1000..]) < 0.5 * mean(&loss[..8]),
        "{} after {}",
        mean(&loss[1000..]),
        mean(&loss[..8])
    );
    assert!(state.detach().surprise().is_none());
    let quiet = memory().init(&plain());
    assert!(quiet.forward(tokens, None).1.surprise().is_none());
}

#[test]
fn persistent_tokens_are_read_before_the_first_token_and_again_after_a_reset() {
    let device = autodiff();
    device.seed(7);
    let layer = double(memory().with_num_persistent(6).init(&device));
    let mut without = layer.clone();
    without.heads.persistent = None;
    let learned = values(without.init_state(1, &device).memory.weights[0].clone());
    let initial = layer.init_state(1, &device).memory.weights[0].clone();
    assert!(largest_error(&values(initial.clone()), &learned) > 1e-3);
    let input = Inputs::new(4, &device).uniform::<3>([1, 9, 12]);
    let (_, packed) = layer.forward_packed(input.clone(), Some(flags(1, 9, &[5], &device)), None);
    let (_, alone) = layer.forward(input.narrow(1, 5, 4), None);
    let error =
        largest_error(&values(packed.memory.weights[0].clone()), &values(alone.memory.weights[0].clone()));
    assert!(error < 1e-12, "{error:e}");
    let gradients = initial.sum().backward();
    assert!(layer.heads.persistent.unwrap().val().grad(&gradients).is_some());
}

#[test]
fn memory_as_a_gate_is_the_product_of_its_branches() {
    let layer =
        double(TitansMagConfig::new(12).with_num_heads(2).with_chunk(4).with_window(3).init(&plain()));
    let input = Inputs::new(4, &plain()).uniform::<3>([2, 9, 12]);
    let (found, state) = layer.forward(input.clone(), None);
    let seen = layer.attention_norm.forward(layer.attention.forward(input.clone(), None).0);
    let (read, memory) = layer.memory.forward(input, None);
    let wanted = seen * silu(layer.memory_norm.forward(read));
    assert_eq!(found.into_data(), wanted.into_data());
    assert_eq!(state.memory.bytes(), memory.bytes());
}

#[test]
fn memory_as_a_layer_is_what_the_attention_sees() {
    let layer =
        double(TitansMalConfig::new(12).with_num_heads(2).with_chunk(4).with_window(3).init(&plain()));
    let input = Inputs::new(4, &plain()).uniform::<3>([2, 9, 12]);
    let (found, _) = layer.forward(input.clone(), None);
    let read = layer.norm.forward(layer.memory.forward(input, None).0);
    assert_eq!(found.into_data(), layer.attention.forward(read, None).0.into_data());
}

#[test]
fn memory_as_a_context_knows_earlier_segments_through_the_memory_alone() {
    let config = TitansMacConfig::new(12).with_num_heads(2).with_segment(4);
    plain().seed(9);
    let layer = double(config.init(&plain()));
    let input = Inputs::new(4, &plain()).uniform::<3>([1, 12, 12]);
    let changed =
        input.clone().slice_assign([0..1, 1..2, 0..12], Tensor::ones([1, 1, 12], (&plain(), DType::F64)));
    let last = |layer: &TitansMac, input: &Tensor<3>| layer.forward(input.clone(), None).0.narrow(1, 8, 4);
    let difference =
        |layer: &TitansMac| largest_error(&values(last(layer, &changed)), &values(last(layer, &input)));
    assert!(difference(&layer) > 1e-6, "the memory tells");
    // A memory that learns nothing tells nothing.
    let mut frozen = layer;
    let step = &mut frozen.memory.heads.gates.step;
    step.bias = Some(Param::from_tensor(Tensor::full([2], -1e4, (&plain(), DType::F64))));
    frozen.memory.heads.gates.forget = None;
    frozen.memory.heads.convolutions.convs.clear();
    assert_eq!(difference(&frozen), 0.0);
}

#[test]
fn the_layer_is_the_operator_between_its_projections() {
    plain().seed(2);
    let layer = double(memory().with_conv_size(None).init(&plain()));
    let input = Inputs::new(4, &plain()).uniform::<3>([2, 9, 12]);
    let heads = |x: Tensor<3>| x.reshape([2, 9, 2, 6]);
    let unit = |x: Tensor<4>| x.clone() / x.square().sum_dim(3).add_scalar(1e-6).sqrt();
    let projected = |linear: &burn::nn::Linear| heads(silu(linear.forward(input.clone())));
    let weights = layer.heads.weights.iter().map(|weights| weights.val().unsqueeze()).collect();
    let options = NeuralMemoryOptions { chunk: 4, ..Default::default() };
    let (q, k, v) =
        (projected(&layer.heads.query), projected(&layer.heads.key), projected(&layer.heads.value));
    let gates = layer.heads.gates.forward(input.clone());
    let (read, _) = neural_memory(unit(q), unit(k), v, gates, weights, options);
    let gate = heads(layer.gate.as_ref().unwrap().forward(input.clone()));
    let read = layer.norm.norm.forward(read) * silu(gate);
    let wanted = layer.output.forward(read.reshape([2, 9, 12]));
    let found = layer.forward(input, None).0;
    assert!(largest_error(&values(found), &values(wanted)) < 1e-13);
}

#[test]
fn untrained_gates_are_what_their_documentation_says() {
    let device = plain();
    for (chunk, max_step, step) in
        [(16, Some(1.0), 0.25 / 16.0), (4, Some(0.1), 0.05), (1, Some(1.0), 0.25), (16, None, 0.01)]
    {
        let layer = double(memory().with_chunk(chunk).with_max_step(max_step).init(&device));
        let gates = layer.heads.gates.forward(Tensor::zeros([1, 1, 12], (&device, DType::F64)));
        for (gate, wanted) in [(gates.forget, 0.01), (gates.momentum, 0.5), (gates.step, step)] {
            assert!(values(gate).iter().all(|x| (x - wanted).abs() < 1e-7), "{wanted}");
        }
    }
}

#[test]
fn memory_as_a_context_is_what_its_documentation_says() {
    let device = plain();
    device.seed(6);
    let config = TitansMacConfig::new(12).with_num_heads(2).with_segment(4).with_conv_size(None);
    let layer = double(config.init(&device));
    let input = Inputs::new(4, &device).uniform::<3>([1, 8, 12]);
    let (found, _) = layer.forward(input.clone(), None);
    let heads = |x: Tensor<3>| x.clone().reshape([1, x.dims()[1], 2, 6]);
    let mut memory = layer.memory.init_state(1, &device);
    for segment in 0..2 {
        let x = input.clone().narrow(1, 4 * segment, 4);
        let q = heads(silu(layer.reader.query.forward(x.clone())));
        let q = q.clone() / q.square().sum_dim(3).add_scalar(1e-6).sqrt();
        let answers = layer.reader.norm.forward(retrieve(q, &memory.memory.weights, false));
        let h = layer.reader.output.forward(answers.reshape([1, 4, 12]));
        // h_1 x_1 h_2 x_2 …
        let turns = (0..4).flat_map(|i| [h.clone().narrow(1, i, 1), x.clone().narrow(1, i, 1)]);
        let (seen, _) = layer.attention.forward(Tensor::cat(turns.collect(), 1), None);
        let y = Tensor::cat((0..4).map(|i| seen.clone().narrow(1, 2 * i + 1, 1)).collect(), 1);
        let (m, next) = layer.memory.forward(y.clone(), Some(memory));
        memory = next;
        let wanted = layer.attention_norm.forward(y) * silu(layer.memory_norm.forward(m));
        let found = found.clone().narrow(1, 4 * segment, 4);
        assert!(largest_error(&values(found), &values(wanted)) < 1e-12, "segment {segment}");
    }
}

/// Sequences that are reset before different tokens, and go on from there, are as each of them alone.
fn check_rows_out_of_step<L: SequenceMixer>(layer: &L) {
    let device = plain();
    let input = Inputs::new(4, &device).uniform::<3>([3, 23, 12]);
    let resets = Tensor::cat(
        vec![flags(1, 10, &[3], &device), flags(1, 10, &[], &device), flags(1, 10, &[0, 9], &device)],
        0,
    );
    let (first, state) = layer.forward_packed(input.clone().narrow(1, 0, 10), Some(resets.clone()), None);
    let (second, state) = layer.forward(input.clone().narrow(1, 10, 13), Some(state));
    let all = Tensor::cat(vec![first, second], 1);
    for row in 0..3 {
        let input = input.clone().narrow(0, row, 1);
        let resets = resets.clone().narrow(0, row, 1);
        let (first, alone) = layer.forward_packed(input.clone().narrow(1, 0, 10), Some(resets), None);
        let (second, alone) = layer.forward(input.narrow(1, 10, 13), Some(alone));
        let found = all.clone().narrow(0, row, 1);
        let error = largest_error(&values(Tensor::cat(vec![first, second], 1)), &values(found));
        assert!(error < 1e-12, "row {row}: {error:e}");
        assert!(alone.bytes().recurrent * 3 == state.bytes().recurrent);
    }
}

#[test]
fn sequences_out_of_step_are_as_each_alone() {
    check_rows_out_of_step(&double(memory().init(&plain())));
    check_rows_out_of_step(&double(
        TitansMacConfig::new(12).with_num_heads(2).with_segment(4).init(&plain()),
    ));
    check_rows_out_of_step(&double(
        TitansMagConfig::new(12).with_num_heads(2).with_chunk(4).with_window(5).init(&plain()),
    ));
    check_rows_out_of_step(&double(
        TitansMalConfig::new(12).with_num_heads(2).with_chunk(4).with_window(5).init(&plain()),
    ));
}

#[test]
fn a_state_does_not_grow_with_the_tokens() {
    fn check<L: SequenceMixer>(layer: &L) {
        let input = Inputs::single(4, &plain()).uniform::<3>([1, 2048, 12]);
        let bytes = |time| layer.forward(input.clone().narrow(1, 0, time), None).1.bytes();
        assert_eq!(bytes(64), bytes(2048));
    }
    check(&TitansMacConfig::new(12).with_num_heads(2).with_segment(4).init(&plain()));
    check(&TitansMagConfig::new(12).with_num_heads(2).with_window(4).init(&plain()));
    check(&TitansMalConfig::new(12).with_num_heads(2).with_window(4).init(&plain()));
}

#[test]
fn a_place_outside_of_a_chunk_is_no_state() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.safetensors");
    let layer = memory().init(&plain());
    let mut state = layer.init_state(2, &plain());
    state.memory.position = Tensor::from_floats([1.0, 0.5], &plain());
    state.save(&path).unwrap();
    let refusal = |layer: &NeuralMemory| layer.load_state(&path, &plain()).unwrap_err().to_string();
    let said = refusal(&layer);
    assert!(said.contains("`memory.position` holds 0.5, but whole numbers below 4 are wanted"), "{said}");
    state.memory.position = Tensor::from_floats([1.0, 4.0], &plain());
    state.save(&path).unwrap();
    let said = refusal(&layer);
    assert!(said.contains("`memory.position` holds 4, but whole numbers below 4 are wanted"), "{said}");
}

#[test]
fn a_state_of_other_chunks_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.safetensors");
    let layer = memory().init(&plain());
    let state = layer.init_state(2, &plain());
    state.save(&path).unwrap();
    let other = memory().with_chunk(8).init(&plain());
    let refusal = other.load_state(&path, &plain()).unwrap_err().to_string();
    assert!(refusal.contains("`memory.position.end` is 4, but 8 is wanted"), "{refusal}");
    assert!(
        state.misfit(&other.init_state(2, &plain())).unwrap().contains("`memory.position.end` = 4, but 8")
    );
    let said = said(|| other.forward(Tensor::zeros([2, 1, 12], &plain()), Some(state.clone())));
    assert!(said.contains("is of chunks of 4 tokens, but the option `chunk` is 8"), "{said}");
}
