//! Rung 6: Mamba, Mamba-2, HGRN2 and the recurrent unit of Griffin against the original implementations.

use super::golden::{STORED, check_layer, fill};
use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor};
use seqzoo::layers::*;
use seqzoo::parts::ShortConv;
use seqzoo_tests::{Golden, ReferenceGradients, autodiff, double, largest_error, values};

fn parameter<const D: usize>(golden: &Golden, name: &str, device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(golden.tensor(&format!("params.{name}"), device))
}

fn fill_conv(conv: &mut ShortConv, golden: &Golden, device: &Device) {
    let taps = golden.tensor::<3>("params.conv1d.weight", device);
    conv.weight = Param::from_tensor(taps.squeeze_dim::<2>(1).detach());
    conv.bias = Some(parameter(golden, "conv1d.bias", device));
}

fn record_conv(conv: &ShortConv, found: &mut ReferenceGradients, gradients: &Gradients) {
    found.parameter("conv1d.weight", &conv.weight, gradients);
    found.parameter("conv1d.bias", conv.bias.as_ref().unwrap(), gradients);
}

#[test]
fn mamba_equals_the_reference_layer() {
    let (device, golden) = (autodiff(), Golden::load("16_hf_mamba_mixer__t15"));
    let config = MambaConfig::new(12).with_d_state(4).with_dt_rank(Some(3));
    let mut layer = double(config.init(&device));
    fill(&mut layer.input, &golden, "in_proj", &device);
    fill(&mut layer.selection, &golden, "x_proj", &device);
    fill(&mut layer.dt, &golden, "dt_proj", &device);
    fill(&mut layer.output, &golden, "out_proj", &device);
    fill_conv(&mut layer.conv, &golden, &device);
    layer.a_log = parameter(&golden, "A_log", &device).into();
    layer.d = parameter(&golden, "D", &device).into();
    let record = |found: &mut ReferenceGradients, gradients: &Gradients| {
        record_conv(&layer.conv, found, gradients);
        found.linear("in_proj", &layer.input, gradients);
        found.linear("x_proj", &layer.selection, gradients);
        found.linear("dt_proj", &layer.dt, gradients);
        found.linear("out_proj", &layer.output, gradients);
        found.parameter("A_log", &layer.a_log, gradients);
        found.parameter("D", &layer.d, gradients);
    };
    check_layer(&layer, &golden, record, &device);
}

#[test]
fn mamba2_equals_the_reference_layer() {
    let (device, golden) = (autodiff(), Golden::load("16_hf_mamba2_mixer__t19_g2"));
    let config = Mamba2Config::new(12).with_d_state(4).with_head_dim(6).with_n_groups(2);
    let mut layer = double(config.init(&device));
    fill(&mut layer.input, &golden, "in_proj", &device);
    fill(&mut layer.output, &golden, "out_proj", &device);
    fill_conv(&mut layer.conv, &golden, &device);
    layer.a_log = parameter(&golden, "A_log", &device).into();
    layer.d = parameter(&golden, "D", &device).into();
    layer.dt_bias = parameter(&golden, "dt_bias", &device).into();
    layer.norm.as_mut().unwrap().gamma = parameter(&golden, "norm.weight", &device);
    let record = |found: &mut ReferenceGradients, gradients: &Gradients| {
        record_conv(&layer.conv, found, gradients);
        found.linear("in_proj", &layer.input, gradients);
        found.linear("out_proj", &layer.output, gradients);
        found.parameter("A_log", &layer.a_log, gradients);
        found.parameter("D", &layer.d, gradients);
        found.parameter("dt_bias", &layer.dt_bias, gradients);
        found.parameter("norm.weight", &layer.norm.as_ref().unwrap().gamma, gradients);
    };
    check_layer(&layer, &golden, record, &device);
}

#[test]
fn hgrn2_equals_the_reference_layer() {
    let (device, golden) = (autodiff(), Golden::load("16_layer_hgrn2__t15"));
    let config = Hgrn2Config::new(16).with_num_heads(Some(2)).with_expand_ratio(8);
    let mut layer = double(config.init(&device));
    fill(&mut layer.query, &golden, "q_proj", &device);
    fill(&mut layer.forget, &golden, "f_proj", &device);
    fill(&mut layer.value, &golden, "i_proj", &device);
    fill(&mut layer.output, &golden, "o_proj", &device);
    layer.norm.gamma = parameter(&golden, "g_norm.weight", &device);
    let record = |found: &mut ReferenceGradients, gradients: &Gradients| {
        for (name, linear) in [
            ("q_proj", &layer.query),
            ("f_proj", &layer.forget),
            ("i_proj", &layer.value),
            ("o_proj", &layer.output),
        ] {
            found.linear(name, linear, gradients);
        }
        found.parameter("g_norm.weight", &layer.norm.gamma, gradients);
    };
    check_layer(&layer, &golden, record, &device);
}

#[test]
fn the_recurrent_unit_of_griffin_equals_the_reference() {
    for name in ["16_hf_rg_lru__t1", "16_hf_rg_lru__t16"] {
        let (device, golden) = (autodiff(), Golden::load(name));
        let (width, heads) = (golden.number("lru_width") as usize, golden.number("heads") as usize);
        let mut unit = double(RgLruConfig::new(width).with_num_heads(heads).init(&device).unit);
        unit.lambda = parameter(&golden, "recurrent_param", &device).into();
        for (gate, name) in
            [(&mut unit.input_gate, "input_gate"), (&mut unit.recurrence_gate, "recurrent_gate")]
        {
            gate.weight = parameter(&golden, &format!("{name}_weight"), &device);
            gate.bias = parameter(&golden, &format!("{name}_bias"), &device);
        }
        let input = golden.tensor::<3>("x", &device).require_grad();
        let state = unit.init_state(input.dims()[0], &device);
        let (output, _) = unit.forward(input.clone(), None, state);
        let close = |found: Tensor<3>, wanted: &str| {
            let error = largest_error(&values(found), golden.values(wanted));
            assert!(error <= STORED, "{name}: `{wanted}` differs by {error:e}");
        };
        close(output.clone(), "o");
        let gradients = (output * golden.tensor("do", &device)).sum().backward();
        close(input.grad(&gradients).unwrap(), "d_x");
        let mut found = ReferenceGradients::default();
        found.parameter("recurrent_param", &unit.lambda, &gradients);
        for (gate, name) in [(&unit.input_gate, "input_gate"), (&unit.recurrence_gate, "recurrent_gate")] {
            found.parameter(&format!("{name}_weight"), &gate.weight, &gradients);
            found.parameter(&format!("{name}_bias"), &gate.bias, &gradients);
        }
        found.assert_equal(&golden, |_| true, STORED);
    }
}
