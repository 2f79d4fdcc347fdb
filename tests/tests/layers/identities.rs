//! Layers that are special cases of each other.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType::F64, Device, Tensor, activation::sigmoid};
use seqzoo::SequenceMixer;
use seqzoo::layers::*;
use seqzoo::parts::Depth;
use seqzoo_tests::{Inputs, double, largest_error, plain};

fn assert_equal<L: SequenceMixer, R: SequenceMixer>(left: &L, right: &R, device: &Device) {
    let input = Inputs::new(3, device).uniform::<3>([2, 20, 8]);
    let values = |tensor: Tensor<3>| tensor.into_data().try_to_vec::<f64>().unwrap();
    let (left, right) = (left.forward(input.clone(), None).0, right.forward(input, None).0);
    assert!(largest_error(&values(left), &values(right)) < 1e-12);
}

fn gated_delta_net(device: &Device) -> GatedDeltaNet {
    double(GatedDeltaNetConfig::new(8).with_num_heads(2).with_head_dim(3).init(device))
}

/// A product of `steps` steps with the parameters of `net`, but for those of keys, values and betas.
fn product(net: &GatedDeltaNet, steps: usize, device: &Device) -> GatedDeltaProduct {
    let config = GatedDeltaProductConfig::new(8).with_num_heads(2).with_head_dim(3);
    let config = config.with_num_householder(steps).with_allow_neg_eigval(false);
    let mut layer = double(config.init(device));
    layer.heads.query = net.heads.query.clone();
    layer.heads.convolutions.convs[0] = net.heads.convolutions.convs[0].clone();
    layer.heads.norm = net.heads.norm.clone();
    layer.heads.output = net.heads.output.clone();
    layer.decay = Some(net.decay.clone());
    layer.gate = net.gate.clone();
    layer
}

#[test]
fn a_product_of_one_step_is_gated_delta_net() {
    let device = plain();
    let net = gated_delta_net(&device);
    let mut one = product(&net, 1, &device);
    one.heads = net.heads.clone();
    assert_equal(&one, &net, &device);
}

#[test]
fn a_step_without_a_key_writes_nothing() {
    let device = plain();
    let net = gated_delta_net(&device);
    for written in [0, 1] {
        let mut two = product(&net, 2, &device);
        // All heads of a step lie together; the other step keeps what it was drawn with.
        let place = |into: Tensor<2>, step: Tensor<2>, dim: usize| {
            let count = step.dims()[dim];
            let kept = into.narrow(dim, (1 - written) * count, count);
            Param::from_tensor(Tensor::cat(
                if written == 0 { vec![step, kept] } else { vec![kept, step] },
                dim,
            ))
        };
        let fill = |into: &mut Linear, step: &Linear| {
            into.weight = place(into.weight.val(), step.weight.val(), 1);
        };
        let (heads, source) = (&mut two.heads, &net.heads);
        heads.key.weight = Param::from_tensor(heads.key.weight.val().zeros_like());
        fill(&mut heads.key, &source.key);
        fill(&mut heads.value, &source.value);
        fill(heads.beta.as_mut().unwrap(), source.beta.as_ref().unwrap());
        for (into, step) in heads.convolutions.convs.iter_mut().zip(&source.convolutions.convs).skip(1) {
            into.weight = place(into.weight.val(), step.weight.val(), 0);
        }
        assert_equal(&two, &net, &device);
    }
}

#[test]
fn a_bounded_decay_is_a_sigmoid_of_its_rate_times_its_step() {
    let device = plain();
    let config = KimiDeltaAttentionConfig::new(8).with_num_heads(2).with_head_dim(3);
    let mut gate = double(config.with_lower_bound(Some(-4.0)).init(&device).decay_gate);
    let mut inputs = Inputs::new(3, &device);
    let (rates, projected) = (inputs.uniform::<1>([2]), inputs.uniform::<3>([1, 5, 6]));
    *gate.a_log = Param::from_tensor(rates.clone());
    let found = gate.forward(projected.clone());
    let steps = (projected + gate.dt_bias.val().unsqueeze()).reshape([1, 5, 2, 3]);
    let wanted = sigmoid(steps * rates.exp().reshape([1, 1, 2, 1])).mul_scalar(-4.0);
    assert_eq!(found.into_data(), wanted.into_data());
}

#[test]
fn norms_of_what_tokens_select_see_no_scale() {
    let device = plain();
    let config = MambaConfig::new(8).with_d_state(3).with_dt_rank(Some(2));
    let config = config.with_selection_norm_epsilon(Some(1e-30));
    let layer = double(config.init(&device));
    let mut scaled = layer.clone();
    // Channels of the step, of `B` and of `C`, each with a scale of their own.
    let scales = [3.0, 3.0, 0.5, 0.5, 0.5, 7.0, 7.0, 7.0];
    let scales = Tensor::<1>::from_data(scales, (&device, F64)).unsqueeze::<2>();
    scaled.selection.weight = Param::from_tensor(layer.selection.weight.val() * scales.clone());
    assert_equal(&scaled, &layer, &device);

    // Without norms they are told apart.
    let plain_config = MambaConfig::new(8).with_d_state(3).with_dt_rank(Some(2));
    let mut without = double(plain_config.init(&device));
    without.selection.weight = layer.selection.weight.clone();
    let input = Inputs::new(3, &device).uniform::<3>([2, 20, 8]);
    let before = without.forward(input.clone(), None).0;
    without.selection.weight = Param::from_tensor(layer.selection.weight.val() * scales);
    let difference = (without.forward(input, None).0 - before).abs().max().into_scalar::<f64>();
    assert!(difference > 1e-6);
}

#[test]
fn groups_of_a_norm_are_those_of_the_heads_unless_they_are_given() {
    let device = plain();
    let config = Mamba2Config::new(8).with_head_dim(4).with_d_state(3).with_n_groups(2);
    let default = double(config.clone().init(&device));
    let with_groups = |groups| {
        let layer = double(config.clone().with_norm_groups(Some(groups)).init(&device));
        let mut changed = default.clone();
        changed.norm = layer.norm;
        changed
    };
    assert_equal(&with_groups(2), &default, &device);
    let input = Inputs::new(3, &device).uniform::<3>([2, 20, 8]);
    let output = |layer: &Mamba2| layer.forward(input.clone(), None).0;
    let difference = (output(&with_groups(1)) - output(&default)).abs().max().into_scalar::<f64>();
    assert!(difference > 1e-6);
}

#[test]
fn learned_bounds_are_those_of_the_depth() {
    let device = plain();
    let config = Hgrn2Config::new(8).with_expand_ratio(4);
    let at = |layer| double(config.clone().with_depth(Some(Depth::new(layer, 4))).init(&device));
    // Equal shares initially: 0, 1/4, 2/4, 3/4.
    let bounded = |bound: f64| double(config.clone().with_lower_bound(bound).init(&device));
    for (layer, bound) in [(0, 0.0), (1, 0.25), (3, 0.75)] {
        let mut layer = at(layer);
        layer.bounds.as_mut().unwrap().logits =
            Param::from_tensor(Tensor::zeros([4, 8], (&device, F64))).into();
        let mut fixed = bounded(bound);
        fixed.query = layer.query.clone();
        fixed.forget = layer.forget.clone();
        fixed.value = layer.value.clone();
        fixed.output = layer.output.clone();
        assert_equal(&layer, &fixed, &device);
    }

    let mut layer = at(2);
    let logits = Inputs::new(5, &device).uniform::<2>([4, 8]);
    layer.bounds.as_mut().unwrap().logits = Param::from_tensor(logits.clone()).into();
    let found = seqzoo_tests::values(layer.bounds.as_ref().unwrap().bounds().unwrap());
    let logits = seqzoo_tests::values(logits);
    for (channel, found) in found.into_iter().enumerate() {
        let power = |row: usize| logits[row * 8 + channel].exp();
        let wanted = (power(1) + power(2)) / (0..4).map(power).sum::<f64>();
        assert!((found - wanted).abs() < 1e-12);
    }
}
