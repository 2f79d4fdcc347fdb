//! The layers of the softmax-attention family against their formulas, and where they are one another.

use burn::module::Param;
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, s};
use seqzoo::SequenceMixer;
use seqzoo::layers::*;
use seqzoo_tests::{Inputs, double, largest_error, plain, values};

fn assert_equal<const D: usize>(found: Tensor<D>, wanted: Tensor<D>, tolerance: f64) {
    assert_eq!(found.dims(), wanted.dims());
    let error = largest_error(&values(found), &values(wanted));
    assert!(error <= tolerance, "they differ by {error:e}");
}

/// The weights of a causal softmax of `query`, `[T, d]`, over `key`, `[T, d]`.
fn causal_map(query: Tensor<2>, key: Tensor<2>) -> Tensor<2> {
    let [time, channels] = query.dims();
    let scores = query.matmul(key.transpose()).mul_scalar((channels as f64).powf(-0.5));
    let later = Tensor::<2, burn::tensor::Bool>::tril_mask([time, time], 0, &scores.device());
    softmax(scores.mask_fill(later, -1e30), 1)
}

#[test]
fn differential_attention_reads_grouped_keys_as_published() {
    // Four heads, eight queries, on two value heads and four keys: query i reads key i / 2, head h the value h / 2.
    let device = plain();
    let config = DifferentialAttentionConfig::new(10)
        .with_num_heads(4)
        .with_num_kv_heads(Some(2))
        .with_head_dim(Some(3))
        .with_rotary(false);
    let layer = double(config.init(&device));
    let input = Inputs::new(1, &device).uniform::<3>([1, 7, 10]);
    let project = |linear: &burn::nn::Linear| linear.forward(input.clone()).squeeze_dim::<2>(0);
    let (query, key, value) = (project(&layer.query), project(&layer.key), project(&layer.value));
    let lambda: f64 = layer.lambda().into_scalar();
    let heads = (0..4).map(|head: usize| {
        let map = |query_head: usize| {
            let key_head = query_head / 2;
            causal_map(
                query.clone().slice(s![.., 3 * query_head..3 * query_head + 3]),
                key.clone().slice(s![.., 3 * key_head..3 * key_head + 3]),
            )
        };
        let value = value.clone().slice(s![.., 6 * (head / 2)..6 * (head / 2) + 6]);
        let read = (map(2 * head) - map(2 * head + 1) * lambda).matmul(value);
        layer.norm.forward(read) * (1.0 - 0.8)
    });
    let wanted = layer.output.forward(Tensor::cat(heads.collect(), 1));
    assert_equal(layer.forward(input, None).0.squeeze_dim(0), wanted, 1e-12);
}

#[test]
fn the_first_map_alone_is_softmax_attention_but_for_the_norm() {
    // With λ = 0 a head of differential attention attends as a softmax head with values of twice the width.
    let device = plain();
    let mut layer =
        double(DifferentialAttentionConfig::new(8).with_num_heads(2).with_depth(Some(0)).init(&device));
    let vector =
        |number: f64| Param::from_tensor(Tensor::full([2], number, (&device, burn::tensor::DType::F64)));
    // exp(0) − exp(2 a²) + 0.2 = 0
    layer.lambda_q1 = vector(0.0);
    layer.lambda_q2 = vector((1.2f64.ln() / 2.0).sqrt());
    layer.lambda_k2 = vector((1.2f64.ln() / 2.0).sqrt());
    assert!(layer.lambda().into_scalar::<f64>().abs() < 1e-12);
    let input = Inputs::new(2, &device).uniform::<3>([1, 6, 8]);
    let (found, _) = layer.forward(input.clone(), None);
    // Then the second map counts for nothing.
    layer.query.weight = layer.query.weight.clone().map(|weight| {
        let other = weight.clone().slice(s![.., 2..4]) * 7.0;
        weight.slice_assign(s![.., 2..4], other)
    });
    assert_equal(found, layer.forward(input, None).0, 1e-12);
}

#[test]
fn aaren_is_softmax_attention_of_one_query() {
    let device = plain();
    let layer = double(AarenConfig::new(8).with_num_heads(2).init(&device));
    let input = Inputs::new(2, &device).uniform::<3>([1, 9, 8]);
    let project = |linear: &burn::nn::Linear| linear.forward(input.clone()).squeeze_dim::<2>(0);
    let (key, value) = (project(&layer.key), project(&layer.value));
    let heads = (0..2).map(|head: usize| {
        let query = layer.query.val().slice(s![head..head + 1, ..]).expand([9, 4]);
        let (from, to) = (4 * head, 4 * head + 4);
        causal_map(query, key.clone().slice(s![.., from..to])).matmul(value.clone().slice(s![.., from..to]))
    });
    let wanted = layer.output.forward(Tensor::cat(heads.collect(), 1));
    assert_equal(layer.forward(input, None).0.squeeze_dim(0), wanted, 1e-12);
}

#[test]
fn the_last_token_of_a_hopfield_layer_retrieves_from_all() {
    let device = plain();
    for steps in [0, 1, 4] {
        let config = HopfieldConfig::new(8).with_num_heads(2).with_steps(steps).with_beta(Some(3.0));
        let layer = double(config.init(&device));
        let input = Inputs::new(2, &device).uniform::<3>([2, 9, 8]);
        let last = input.clone().narrow(1, 8, 1);
        let (output, _) = layer.forward(input.clone(), None);
        assert_equal(output.narrow(1, 8, 1), layer.retrieve(last, input), 1e-12);
    }
}

#[test]
fn a_hopfield_layer_without_steps_norms_and_biases_is_softmax_attention() {
    let device = plain();
    let config = HopfieldConfig::new(8).with_num_heads(2).with_normalise(false).with_bias(false);
    let hopfield = double(config.init(&device));
    let mut softmax =
        double(SoftmaxAttentionConfig::new(8).with_num_heads(2).with_rotary(false).init(&device));
    softmax.query = hopfield.state.clone();
    softmax.key = hopfield.stored.clone();
    softmax.value = hopfield.projection.clone();
    softmax.output = hopfield.output.clone();
    let input = Inputs::new(2, &device).uniform::<3>([2, 9, 8]);
    assert_equal(hopfield.forward(input.clone(), None).0, softmax.forward(input, None).0, 1e-12);
}

#[test]
fn a_gated_convolution_is_its_formula() {
    let device = plain();
    let layer = double(GatedConvConfig::new(4).init(&device));
    let input = Inputs::new(2, &device).uniform::<3>([1, 6, 4]);
    let both = layer.input.forward(input.clone());
    let padded =
        Tensor::cat(vec![Tensor::zeros([1, 2, 8], (&device, both.dtype())), both.clone().narrow(2, 0, 8)], 1);
    let tap = |tap: usize| {
        let weight = layer.conv.weight.val().narrow(1, tap, 1).reshape([1, 1, 8]);
        padded.clone().narrow(1, tap, 6) * weight
    };
    let convolved = burn::tensor::activation::silu(tap(0) + tap(1) + tap(2));
    let wanted = layer.output.forward(convolved * both.narrow(2, 8, 8));
    assert_equal(layer.forward(input, None).0, wanted, 1e-12);
}
