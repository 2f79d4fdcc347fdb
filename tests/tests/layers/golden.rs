//! Rung 6: whole layers and feature maps against the original implementations.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Gradients, Tensor};
use seqzoo::SequenceMixer;
use seqzoo::layers::*;
use seqzoo::ops::linear_attention::{Decay, LinearAttentionOptions, linear_attention};
use seqzoo::parts::{FeatureMap, FeatureMapKind};
use seqzoo_tests::{Golden, ReferenceGradients, autodiff, double, largest_error};

pub const STORED: f64 = 2e-6;

/// A weight of PyTorch, `[out, in]`, as Burn keeps it.
fn weight(golden: &Golden, name: &str, device: &Device) -> Param<Tensor<2>> {
    Param::from_tensor(golden.tensor::<2>(name, device).transpose().detach())
}

pub fn fill(linear: &mut Linear, golden: &Golden, name: &str, device: &Device) {
    linear.weight = weight(golden, &format!("params.{name}.weight"), device);
    let bias = format!("params.{name}.bias");
    linear.bias = golden.has(&bias).then(|| Param::from_tensor(golden.tensor(&bias, device)));
}

fn check(found: Tensor<3>, golden: &Golden, name: &str) {
    let found = found.into_data().try_to_vec::<f64>().unwrap();
    let error = largest_error(&found, golden.values(name));
    assert!(error <= STORED, "`{name}` differs by {error:e}");
}

/// Compares output, the input's gradient and the gradients of all parameters, which `record` names.
pub fn check_layer<L: SequenceMixer>(
    layer: &L,
    golden: &Golden,
    record: impl FnOnce(&mut ReferenceGradients, &Gradients),
    device: &Device,
) {
    let mut found = ReferenceGradients::default();
    record(&mut found, &check_ends(layer, golden, device));
    found.assert_equal(golden, |_| true, STORED);
}

/// Compares output and the input's gradient; returns the gradients of the parameters.
pub fn check_ends<L: SequenceMixer>(layer: &L, golden: &Golden, device: &Device) -> Gradients {
    let input = golden.tensor::<3>("x", device).require_grad();
    let (output, _) = layer.forward(input.clone(), None);
    check(output.clone(), golden, "o");
    let gradients = (output * golden.tensor("do", device)).sum().backward();
    check(input.grad(&gradients).unwrap(), golden, "d_x");
    gradients
}

#[test]
fn gated_linear_attention_equals_the_reference_layer() {
    let (device, golden) = (autodiff(), Golden::load("16_layer_gla__t18"));
    let mut layer = double(GatedLinearAttentionConfig::new(16).with_num_heads(2).init(&device));
    fill(&mut layer.query, &golden, "q_proj", &device);
    fill(&mut layer.key, &golden, "k_proj", &device);
    fill(&mut layer.value, &golden, "v_proj", &device);
    fill(&mut layer.decay_down, &golden, "gk_proj.0", &device);
    fill(&mut layer.decay_up, &golden, "gk_proj.1", &device);
    fill(layer.gate.as_mut().unwrap(), &golden, "g_proj", &device);
    fill(&mut layer.output, &golden, "o_proj", &device);
    layer.norm.norm.gamma = Param::from_tensor(golden.tensor("params.g_norm_swish_gate.weight", &device));
    let record = |found: &mut ReferenceGradients, gradients: &Gradients| {
        for (name, linear) in [
            ("q_proj", &layer.query),
            ("k_proj", &layer.key),
            ("v_proj", &layer.value),
            ("gk_proj.0", &layer.decay_down),
            ("gk_proj.1", &layer.decay_up),
            ("g_proj", layer.gate.as_ref().unwrap()),
            ("o_proj", &layer.output),
        ] {
            found.linear(name, linear, gradients);
        }
        found.parameter("g_norm_swish_gate.weight", &layer.norm.norm.gamma, gradients);
    };
    check_layer(&layer, &golden, record, &device);
}

#[test]
fn retention_equals_the_reference_layer() {
    let (device, golden) = (autodiff(), Golden::load("16_layer_retention__t17"));
    let mut layer = double(MultiScaleRetentionConfig::new(16).with_num_heads(2).init(&device));
    fill(&mut layer.query, &golden, "q_proj", &device);
    fill(&mut layer.key, &golden, "k_proj", &device);
    fill(&mut layer.value, &golden, "v_proj", &device);
    fill(&mut layer.gate, &golden, "g_proj", &device);
    fill(&mut layer.output, &golden, "o_proj", &device);
    layer.norm.norm.gamma = Param::from_tensor(golden.tensor("params.g_norm_swish_gate.weight", &device));
    let record = |found: &mut ReferenceGradients, gradients: &Gradients| {
        for (name, linear) in [
            ("q_proj", &layer.query),
            ("k_proj", &layer.key),
            ("v_proj", &layer.value),
            ("g_proj", &layer.gate),
            ("o_proj", &layer.output),
        ] {
            found.linear(name, linear, gradients);
        }
        found.parameter("g_norm_swish_gate.weight", &layer.norm.norm.gamma, gradients);
    };
    check_layer(&layer, &golden, record, &device);
}

#[test]
fn based_equals_the_reference_layer() {
    let (device, golden) = (autodiff(), Golden::load("13_based_layer__t15"));
    let config =
        LinearAttentionConfig { num_heads: 2, feature_dim: Some(4), ..LinearAttentionConfig::based(12) };
    let mut layer = double(config.init(&device));
    fill(&mut layer.query, &golden, "proj_q", &device);
    fill(&mut layer.key, &golden, "proj_k", &device);
    fill(&mut layer.value, &golden, "proj_v", &device);
    fill(&mut layer.output, &golden, "out_proj", &device);
    let record = |found: &mut ReferenceGradients, gradients: &Gradients| {
        for (name, linear) in [
            ("proj_q", &layer.query),
            ("proj_k", &layer.key),
            ("proj_v", &layer.value),
            ("out_proj", &layer.output),
        ] {
            found.linear(name, linear, gradients);
        }
    };
    check_layer(&layer, &golden, record, &device);
}

#[test]
fn the_taylor_map_makes_linear_attention_into_based() {
    let device = autodiff();
    for name in ["13_based__t17", "13_based__t1_nonorm"] {
        let golden = Golden::load(name);
        let map = FeatureMapKind::Taylor.try_init(4, &device).unwrap();
        let heads_first = ["q", "k", "v"].map(|name| golden.tensor::<4>(name, &device).require_grad());
        let [q, k, v] = heads_first.clone().map(|tensor| tensor.swap_dims(1, 2));
        let options = LinearAttentionOptions {
            scale: Some(1.0),
            normaliser: (golden.parameter("use_norm") == "True").then(|| golden.number("eps")),
            ..Default::default()
        };
        let (output, _) = linear_attention(map.forward(q), map.forward(k), v, Decay::None, options);
        let output = output.swap_dims(1, 2);
        let values = |tensor: Tensor<4>| tensor.into_data().try_to_vec::<f64>().unwrap();
        assert!(largest_error(&values(output.clone()), golden.values("o")) <= STORED);
        let gradients = (output * golden.tensor("do", &device)).sum().backward();
        for (name, tensor) in ["d_q", "d_k", "d_v"].into_iter().zip(heads_first) {
            let error = largest_error(&values(tensor.grad(&gradients).unwrap()), golden.values(name));
            assert!(error <= STORED, "`{name}` differs by {error:e}");
        }
    }
}

/// Fills the map's projections and compares features and the gradient of the parameters.
fn check_map(kind: FeatureMapKind, name: &str, projections: &[&str]) -> FeatureMap {
    let (device, golden) = (autodiff(), Golden::load("13_feature_maps__d4"));
    let mut map = double(kind.try_init(4, &device).unwrap());
    for (linear, projection) in map.linears.iter_mut().zip(projections) {
        fill(linear, &golden, projection, &device);
    }
    let features = map.forward(golden.tensor("x", &device));
    let found = features.clone().into_data().try_to_vec::<f64>().unwrap();
    assert!(largest_error(&found, golden.values(name)) <= STORED, "{name}");
    if !projections.is_empty() {
        let gradients = (features * golden.tensor(&format!("ct.{name}"), &device)).sum().backward();
        let mut found = ReferenceGradients::default();
        for (linear, projection) in map.linears.iter().zip(projections) {
            found.linear(projection, linear, &gradients);
        }
        found.assert_equal(&golden, |parameter| parameter.starts_with(name), STORED);
    }
    map
}

#[test]
fn feature_maps_equal_the_reference() {
    check_map(FeatureMapKind::Taylor, "taylor", &[]);
    check_map(FeatureMapKind::Hedgehog, "hedgehog", &["hedgehog.layer"]);
    check_map(FeatureMapKind::ElementwiseProduct, "hadamard", &["hadamard.layer1", "hadamard.layer2"]);
}

#[test]
fn a_learned_relu_equals_the_reference_at_its_own_width() {
    // The reference projects 4 channels to 6, this library keeps the width; the law is the same.
    let (device, golden) = (autodiff(), Golden::load("13_feature_maps__d4"));
    let mut map = double(FeatureMapKind::LearnedRelu.try_init(4, &device).unwrap());
    fill(&mut map.linears[0], &golden, "t2r.layer", &device);
    let features = map.forward(golden.tensor("x", &device));
    let found = features.clone().into_data().try_to_vec::<f64>().unwrap();
    assert!(largest_error(&found, golden.values("t2r")) <= STORED);
    let gradients = (features * golden.tensor("ct.t2r", &device)).sum().backward();
    let mut found = ReferenceGradients::default();
    found.linear("t2r.layer", &map.linears[0], &gradients);
    found.assert_equal(&golden, |name| name.starts_with("t2r"), STORED);
}

#[test]
fn maps_without_parameters_are_what_their_formulas_say() {
    let device = autodiff();
    let of = |kind: FeatureMapKind| {
        let x = Tensor::<4>::from_floats([[[[2.0, -3.0]]]], &device);
        kind.try_init(2, &device).unwrap().forward(x).into_data().try_to_vec::<f32>().unwrap()
    };
    assert_eq!(of(FeatureMapKind::Identity), [2.0, -3.0]);
    assert_eq!(of(FeatureMapKind::Relu), [2.0, 0.0]);
    assert_eq!(of(FeatureMapKind::SquaredRelu), [4.0, 0.0]);
    // z = [2, 0, 0, 3]; rolled by one [3, 2, 0, 0], by two [0, 3, 2, 0], by three [0, 0, 3, 2]
    let dpfp = of(FeatureMapKind::Dpfp { nu: 3 });
    assert_eq!(dpfp, [6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 6.0]);
}

#[test]
fn dpfp_is_the_papers_and_so_differs_from_the_reference_in_its_negative_half() {
    // flash-linear-attention takes [relu(x), -relu(x)], the paper [relu(x), relu(-x)]; where x >= 0
    // both agree up to the sign of the second half.
    let device = autodiff();
    let map = FeatureMapKind::Dpfp { nu: 1 }.try_init(2, &device).unwrap();
    let x = Tensor::<4>::from_floats([[[[2.0, -3.0]]]], &device);
    // z = [2, 0, 0, 3], rolled by one [3, 2, 0, 0]
    assert_eq!(map.forward(x).into_data().try_to_vec::<f32>().unwrap(), [6.0, 0.0, 0.0, 0.0]);
    assert_eq!(map.num_params(), 0);
}

#[test]
fn landmark_attention_equals_the_reference_layer() {
    let (device, golden) = (autodiff(), Golden::load("12_landmark_attention__t13_b4"));
    let config = LandmarkAttentionConfig::new(8).with_num_heads(2).with_block(4).with_rotary(false);
    let mut layer = double(config.init(&device));
    // The reference has one projection for queries, keys and values.
    let together = golden.tensor::<2>("params.c_attn.weight", &device);
    for (index, linear) in [&mut layer.query, &mut layer.key, &mut layer.value].into_iter().enumerate() {
        let rows = together.clone().narrow(0, 8 * index, 8).transpose().detach();
        linear.weight = Param::from_tensor(rows);
    }
    fill(&mut layer.output, &golden, "c_proj", &device);
    let gradients = check_ends(&layer, &golden, &device);
    let gradient = |linear: &Linear| linear.weight.val().grad(&gradients).unwrap().transpose();
    let found = Tensor::cat([&layer.query, &layer.key, &layer.value].map(gradient).to_vec(), 0);
    for (found, name) in [(found, "c_attn"), (gradient(&layer.output), "c_proj")] {
        let found = found.into_data().try_to_vec::<f64>().unwrap();
        let error = largest_error(&found, golden.values(&format!("d_params.{name}.weight")));
        assert!(error <= STORED, "`{name}` differs by {error:e}");
    }
}
