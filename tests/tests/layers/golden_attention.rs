//! Rung 6: the layers of the softmax-attention family against the original implementations.

use super::golden::{check_layer, fill};
use burn::module::Param;
use burn::tensor::Gradients;
use seqzoo::layers::*;
use seqzoo_tests::{Golden, ReferenceGradients, autodiff, double};

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
