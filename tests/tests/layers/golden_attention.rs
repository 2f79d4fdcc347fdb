//! Rung 6: the layers of the softmax-attention family against the original implementations.

use super::golden::{STORED, check_layer, fill};
use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Gradients, Tensor};
use seqzoo::SequenceMixer;
use seqzoo::layers::*;
use seqzoo::parts::{RunningSoftmax, running_softmax};
use seqzoo_tests::{Golden, ReferenceGradients, autodiff, double, largest_error, values};

#[test]
fn differential_attention_equals_the_reference_layer() {
    for (name, depth) in [("17_diff_attn__t11", 1), ("17_diff_attn__t6_norope", 0)] {
        let (device, golden) = (autodiff(), Golden::load(name));
        let heads = golden.number("num_heads") as usize;
        let config = DifferentialAttentionConfig::new(golden.number("embed_dim") as usize)
            .with_num_heads(heads)
            .with_depth(Some(depth))
            .with_rotary(golden.parameter("rope") != "none");
        let mut layer = double(config.init(&device));
        fill(&mut layer.query, &golden, "q_proj", &device);
        fill(&mut layer.key, &golden, "k_proj", &device);
        fill(&mut layer.value, &golden, "v_proj", &device);
        fill(&mut layer.output, &golden, "out_proj", &device);
        let vector = |name: &str| Param::from_tensor(golden.tensor(&format!("params.{name}"), &device));
        layer.lambda_q1 = vector("lambda_q1");
        layer.lambda_k1 = vector("lambda_k1");
        layer.lambda_q2 = vector("lambda_q2");
        layer.lambda_k2 = vector("lambda_k2");
        layer.norm.gamma = vector("subln.weight");
        let record = |found: &mut ReferenceGradients, gradients: &Gradients| {
            for (name, linear) in [
                ("q_proj", &layer.query),
                ("k_proj", &layer.key),
                ("v_proj", &layer.value),
                ("out_proj", &layer.output),
            ] {
                found.linear(name, linear, gradients);
            }
            for (name, vector) in [
                ("lambda_q1", &layer.lambda_q1),
                ("lambda_k1", &layer.lambda_k1),
                ("lambda_q2", &layer.lambda_q2),
                ("lambda_k2", &layer.lambda_k2),
                ("subln.weight", &layer.norm.gamma),
            ] {
                found.parameter(name, vector, gradients);
            }
        };
        check_layer(&layer, &golden, record, &device);
    }
}

fn check<const D: usize>(found: Tensor<D>, golden: &Golden, name: &str) {
    let error = largest_error(&values(found), golden.values(name));
    assert!(error <= STORED, "`{name}` differs by {error:e}");
}

#[test]
fn aaren_equals_the_published_recurrence() {
    for name in ["17_aaren__t1", "17_aaren__t10"] {
        let (device, golden) = (autodiff(), Golden::load(name));
        let query = golden.tensor::<2>("query", &device).require_grad();
        let [key, value] = ["k", "v"].map(|name| golden.tensor::<4>(name, &device).require_grad());
        let scaled = query.clone().mul_scalar(golden.number("scale")).unsqueeze::<4>();
        let scores = (key.clone() * scaled).sum_dim(3).squeeze_dim::<3>(3);
        let [batch, _, heads, channels] = value.dims();
        let empty = RunningSoftmax::empty([batch, heads, channels], value.dtype(), &device);
        let (output, last) = running_softmax(scores, value.clone(), None, empty);
        check(output.clone(), &golden, "o");
        check(last.max, &golden, "final_state.m");
        check(last.weight_sum, &golden, "final_state.u");
        check(last.weighted_values, &golden, "final_state.w");
        let gradients = (output * golden.tensor("do", &device)).sum().backward();
        check(query.grad(&gradients).unwrap(), &golden, "d_query");
        check(key.grad(&gradients).unwrap(), &golden, "d_k");
        check(value.grad(&gradients).unwrap(), &golden, "d_v");
    }
}

/// The rows of query, key and value in one projection of the reference, `part` of three: weight and bias.
fn fill_part(linear: &mut Linear, golden: &Golden, part: usize, device: &Device) {
    let channels = golden.number("dim") as usize;
    let weight = golden.tensor::<2>("params.qkv.weight", device).narrow(0, part * channels, channels);
    linear.weight = Param::from_tensor(weight.transpose().detach());
    linear.bias = golden.has("params.qkv.bias").then(|| {
        let bias = golden.tensor::<1>("params.qkv.bias", device).narrow(0, part * channels, channels);
        Param::from_tensor(bias.detach())
    });
}

#[test]
fn sigmoid_attention_equals_the_reference_layer() {
    for (name, length, causal) in
        [("17_sigmoid_attn__t12", 12, true), ("17_sigmoid_attn__t7_noncausal_bias", 7, false)]
    {
        let (device, golden) = (autodiff(), Golden::load(name));
        assert!((golden.number("attn_bias") + (length as f64).ln()).abs() < 1e-12);
        let config = SigmoidAttentionConfig::new(golden.number("dim") as usize)
            .with_num_heads(golden.number("num_heads") as usize)
            .with_sequence_length(length)
            .with_bias(!causal);
        let mut layer = double(config.init(&device));
        fill_part(&mut layer.query, &golden, 0, &device);
        fill_part(&mut layer.key, &golden, 1, &device);
        fill_part(&mut layer.value, &golden, 2, &device);
        fill(&mut layer.output, &golden, "proj", &device);
        let input = golden.tensor::<3>("x", &device).require_grad();
        let output = match causal {
            true => layer.forward(input.clone(), None).0,
            false => layer.forward_to_all(input.clone()),
        };
        check(output.clone(), &golden, "o");
        let gradients = (output * golden.tensor("do", &device)).sum().backward();
        check(input.grad(&gradients).unwrap(), &golden, "d_x");
        let linears = [&layer.query, &layer.key, &layer.value];
        let weight = |linear: &Linear| linear.weight.val().grad(&gradients).unwrap().transpose();
        check(Tensor::cat(linears.map(weight).to_vec(), 0), &golden, "d_params.qkv.weight");
        check(weight(&layer.output), &golden, "d_params.proj.weight");
        if !causal {
            let bias = |linear: &Linear| linear.bias.as_ref().unwrap().val().grad(&gradients).unwrap();
            check(Tensor::cat(linears.map(bias).to_vec(), 0), &golden, "d_params.qkv.bias");
            check(bias(&layer.output), &golden, "d_params.proj.bias");
        }
    }
}
