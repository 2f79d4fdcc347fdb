//! How the decays of an untrained layer spread, and that no projection breaks them.

use burn::tensor::{Device, FloatDType, Tensor};
use seqzoo::layers::*;
use seqzoo::parts::DecayGate;
use seqzoo_tests::plain;

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn softplus(x: f32) -> f32 {
    x.exp().ln_1p()
}

/// Many heads, so that the range is seen.
fn gated(device: &Device) -> DecayGate {
    let config = GatedDeltaNetConfig::new(4).with_num_heads(400).with_head_dim(1).with_expand_v(1.0);
    config.init(device).decay.gate
}

fn kimi() -> KimiDeltaAttentionConfig {
    KimiDeltaAttentionConfig::new(4).with_num_heads(400).with_head_dim(1)
}

fn assert_between(values: &[f32], low: f32, high: f32) {
    let (least, most) = values.iter().fold((f32::MAX, f32::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
    assert!(low <= least && most <= high, "{least} to {most} is not within {low} to {high}");
    assert!(least < low + 0.1 * (high - low) && most > high - 0.1 * (high - low), "{least} to {most}");
}

#[test]
fn rates_and_steps_are_those_published() {
    let device = plain();
    for (gate, least) in [(gated(&device), 0.0), (kimi().init(&device).decay_gate, 1.0)] {
        let rates: Vec<f32> = values(gate.a_log.val()).into_iter().map(f32::exp).collect();
        assert_between(&rates, least - 1e-3, 16.0 + 1e-3);
        let steps: Vec<f32> =
            values(gate.dt_bias.val()).into_iter().map(|bias| softplus(bias).log10()).collect();
        assert_between(&steps, -3.0 - 1e-3, -1.0 + 1e-3);
    }
    let bounded = kimi().with_lower_bound(Some(-5.0)).init(&device).decay_gate;
    assert!(values(bounded.a_log.val()).iter().all(|log| *log == 0.0));
}

#[test]
fn decays_are_finite_and_at_most_zero_for_any_projection() {
    let device = plain();
    let bounded = kimi().with_lower_bound(Some(-5.0)).init(&device).decay_gate;
    for (gate, least) in [(gated(&device), -16.1e4), (bounded, -5.0)] {
        for extreme in [-1e4f32, -100.0, 0.0, 100.0, 1e4] {
            let projected = Tensor::<3>::full([1, 1, 400], extreme, &device);
            let logs = values(gate.forward(projected).flatten(0, 3));
            assert!(logs.iter().all(|log| (least..=0.0).contains(log)), "{extreme}");
        }
    }
}

#[test]
fn decays_are_computed_in_f32() {
    let device = plain();
    let gate = gated(&device);
    let projected = Tensor::<3>::full([1, 1, 400], 0.3, &device).cast(FloatDType::BF16);
    let found = values(gate.forward(projected.clone()).flatten(0, 3));
    let wanted = values(gate.forward(projected.cast(FloatDType::F32)).flatten(0, 3));
    assert_eq!(found, wanted);
}
