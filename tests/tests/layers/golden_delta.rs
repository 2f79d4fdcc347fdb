//! Rung 6: the layers on the delta rule against the original implementations.

use super::golden::{STORED, check_ends, check_layer, fill};
use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Gradients, Int, Tensor};
use seqzoo::layers::*;
use seqzoo::parts::{DecayGate, DeltaHeads};
use seqzoo_tests::{Golden, ReferenceGradients, autodiff, double, largest_error};

const CONVOLUTIONS: [&str; 3] = ["q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight"];

fn parameter<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(tensor.detach())
}

fn fill_heads(heads: &mut DeltaHeads, golden: &Golden, device: &Device) {
    fill(&mut heads.query, golden, "q_proj", device);
    fill(&mut heads.key, golden, "k_proj", device);
    fill(&mut heads.value, golden, "v_proj", device);
    fill(heads.beta.as_mut().unwrap(), golden, "b_proj", device);
    fill(&mut heads.output, golden, "o_proj", device);
    heads.norm.norm.gamma = parameter(golden.tensor("params.o_norm.weight", device));
    for (conv, name) in heads.convolutions.convs.iter_mut().zip(CONVOLUTIONS) {
        conv.weight = parameter(golden.tensor::<3>(&format!("params.{name}"), device).squeeze_dim(1));
    }
}

fn record_heads(heads: &DeltaHeads, found: &mut ReferenceGradients, gradients: &Gradients) {
    for (name, linear) in [
        ("q_proj", &heads.query),
        ("k_proj", &heads.key),
        ("v_proj", &heads.value),
        ("b_proj", heads.beta.as_ref().unwrap()),
        ("o_proj", &heads.output),
    ] {
        found.linear(name, linear, gradients);
    }
    found.parameter("o_norm.weight", &heads.norm.norm.gamma, gradients);
    for (conv, name) in heads.convolutions.convs.iter().zip(CONVOLUTIONS) {
        found.parameter(name, &conv.weight, gradients);
    }
}

fn fill_gate(gate: &mut DecayGate, golden: &Golden, device: &Device) {
    gate.a_log = parameter(golden.tensor("params.A_log", device)).into();
    gate.dt_bias = parameter(golden.tensor("params.dt_bias", device)).into();
}

fn record_gate(gate: &DecayGate, found: &mut ReferenceGradients, gradients: &Gradients) {
    found.parameter("A_log", &gate.a_log, gradients);
    found.parameter("dt_bias", &gate.dt_bias, gradients);
}

#[test]
fn delta_net_equals_the_reference_layer() {
    let (device, golden) = (autodiff(), Golden::load("16_layer_delta_net__t18"));
    let mut layer = double(DeltaNetConfig::new(16).with_num_heads(2).init(&device));
    fill_heads(&mut layer.heads, &golden, &device);
    check_layer(&layer, &golden, |found, gradients| record_heads(&layer.heads, found, gradients), &device);
}

#[test]
fn gated_delta_net_equals_the_reference_layer() {
    let (device, golden) = (autodiff(), Golden::load("16_layer_gated_deltanet__t18"));
    let config = GatedDeltaNetConfig::new(16).with_num_heads(2).with_head_dim(4);
    let mut layer = double(config.init(&device));
    fill_heads(&mut layer.heads, &golden, &device);
    fill(&mut layer.decay.projection, &golden, "a_proj", &device);
    fill_gate(&mut layer.decay.gate, &golden, &device);
    fill(layer.gate.as_mut().unwrap(), &golden, "g_proj", &device);
    let record = |found: &mut ReferenceGradients, gradients: &Gradients| {
        record_heads(&layer.heads, found, gradients);
        record_gate(&layer.decay.gate, found, gradients);
        found.linear("a_proj", &layer.decay.projection, gradients);
        found.linear("g_proj", layer.gate.as_ref().unwrap(), gradients);
    };
    check_layer(&layer, &golden, record, &device);
}

#[test]
fn kimi_delta_attention_equals_the_reference_layer() {
    let (device, golden) = (autodiff(), Golden::load("16_layer_kda__t14"));
    let config = KimiDeltaAttentionConfig::new(16).with_num_heads(2).with_head_dim(4);
    let mut layer = double(config.init(&device));
    fill_heads(&mut layer.heads, &golden, &device);
    fill_gate(&mut layer.decay_gate, &golden, &device);
    fill(&mut layer.decay_down, &golden, "f_proj.0", &device);
    fill(&mut layer.decay_up, &golden, "f_proj.1", &device);
    fill(&mut layer.gate_down, &golden, "g_proj.0", &device);
    fill(&mut layer.gate_up, &golden, "g_proj.1", &device);
    let record = |found: &mut ReferenceGradients, gradients: &Gradients| {
        record_heads(&layer.heads, found, gradients);
        record_gate(&layer.decay_gate, found, gradients);
        for (name, linear) in [
            ("f_proj.0", &layer.decay_down),
            ("f_proj.1", &layer.decay_up),
            ("g_proj.0", &layer.gate_down),
            ("g_proj.1", &layer.gate_up),
        ] {
            found.linear(name, linear, gradients);
        }
    };
    check_layer(&layer, &golden, record, &device);
}

/// Some of the rows of a matrix that holds several projections.
struct Rows(Vec<i64>);

impl Rows {
    /// `count` rows for each of two key heads, whose `stride` rows begin at `from`.
    fn of(from: i64, count: i64, stride: i64) -> Self {
        Self((0..2).flat_map(|head| head * stride + from..head * stride + from + count).collect())
    }

    fn take(&self, matrix: Tensor<2>) -> Tensor<2> {
        let indices = Tensor::<1, Int>::from_ints(self.0.as_slice(), &matrix.device());
        matrix.select(0, indices)
    }
}

fn assert_gradient<const D: usize>(name: &str, found: Tensor<D>, wanted: Tensor<D>) {
    let values = |tensor: Tensor<D>| tensor.into_data().try_to_vec::<f64>().unwrap();
    let error = largest_error(&values(found), &values(wanted));
    assert!(error <= STORED, "the gradient of `{name}` differs by {error:e}");
}

/// Qwen3-Next keeps the projections of each key head together, and the convolutions in one matrix.
#[test]
fn gated_delta_net_equals_the_layer_of_qwen3_next() {
    let (device, golden) = (autodiff(), Golden::load("16_hf_qwen3next_gdn__t17"));
    let config = GatedDeltaNetConfig::new(16)
        .with_num_heads(2)
        .with_num_v_heads(Some(4))
        .with_head_dim(4)
        .with_expand_v(1.5)
        .with_norm_epsilon(1e-6);
    let mut layer = double(config.init(&device));
    // Of each key head: 4 rows of q, 4 of k, 12 of v and 12 of the gate; 2 of the betas and 2 of the decays.
    let rows = [
        ("in_proj_qkvz", Rows::of(0, 4, 32)),
        ("in_proj_qkvz", Rows::of(4, 4, 32)),
        ("in_proj_qkvz", Rows::of(8, 12, 32)),
        ("in_proj_qkvz", Rows::of(20, 12, 32)),
        ("in_proj_ba", Rows::of(0, 2, 4)),
        ("in_proj_ba", Rows::of(2, 2, 4)),
    ];
    let heads = &mut layer.heads;
    let linears: [&mut Linear; 6] = [
        &mut heads.query,
        &mut heads.key,
        &mut heads.value,
        layer.gate.as_mut().unwrap(),
        heads.beta.as_mut().unwrap(),
        &mut layer.decay.projection,
    ];
    for (linear, (name, rows)) in linears.into_iter().zip(&rows) {
        let whole = golden.tensor::<2>(&format!("params.{name}.weight"), &device);
        linear.weight = parameter(rows.take(whole).transpose());
    }
    let taps = golden
        .tensor::<3>("params.conv1d.weight", &device)
        .squeeze_dim::<2>(1)
        .split_with_sizes(vec![8, 8, 24], 0);
    for (conv, taps) in heads.convolutions.convs.iter_mut().zip(taps) {
        conv.weight = parameter(taps);
    }
    fill(&mut heads.output, &golden, "out_proj", &device);
    heads.norm.norm.gamma = parameter(golden.tensor("params.norm.weight", &device));
    fill_gate(&mut layer.decay.gate, &golden, &device);

    let gradients = check_ends(&layer, &golden, &device);
    let mut found = ReferenceGradients::default();
    record_gate(&layer.decay.gate, &mut found, &gradients);
    found.linear("out_proj", &layer.heads.output, &gradients);
    found.parameter("norm.weight", &layer.heads.norm.norm.gamma, &gradients);
    found.assert_equal(&golden, |name| !name.starts_with("in_proj") && name != "conv1d.weight", STORED);

    let plain = device.inner();
    let linears: [&Linear; 6] = [
        &layer.heads.query,
        &layer.heads.key,
        &layer.heads.value,
        layer.gate.as_ref().unwrap(),
        layer.heads.beta.as_ref().unwrap(),
        &layer.decay.projection,
    ];
    for (linear, (name, rows)) in linears.into_iter().zip(&rows) {
        let wanted = rows.take(golden.tensor(&format!("d_params.{name}.weight"), &plain));
        assert_gradient(name, linear.weight.val().grad(&gradients).unwrap().transpose(), wanted);
    }
    let convs = &layer.heads.convolutions.convs;
    let taps = convs.iter().map(|conv| conv.weight.val().grad(&gradients).unwrap()).collect();
    let wanted = golden.tensor::<3>("d_params.conv1d.weight", &plain).squeeze_dim::<2>(1);
    assert_gradient("conv1d", Tensor::cat(taps, 0), wanted);
}
