//! Every layer of the zoo on the backends that have no tests of their own, against Flex: forward, gradient and step.
#![cfg(any(feature = "wgpu", feature = "ndarray"))]

use burn::module::Module;
use burn::tensor::Device;
use seqzoo::{Mixer, MixerConfig, SequenceMixer};
use seqzoo_tests::{Inputs, Outcome};
use serde_json::{Map, Value};

const CHANNELS: usize = 16;

/// The layer `kind`, small: two heads, where it has heads.
fn small(kind: &str) -> MixerConfig {
    let published = MixerConfig::published(kind, CHANNELS).expect("the kind is one of the zoo's");
    let fields = serde_json::to_value(&published).unwrap();
    let options =
        [("num_heads", 2), ("head_dim", 8)].into_iter().filter(|(name, _)| fields.get(name).is_some());
    let options: Map<String, Value> = options.map(|(name, value)| (name.into(), value.into())).collect();
    MixerConfig::from_options(kind, CHANNELS, options).unwrap()
}

/// What a layer computes on `device`: over a sequence in chunks and in packed pieces, its gradient, and one token more.
fn outcome(layer: &Mixer, device: &Device) -> Outcome {
    let device = device.clone().autodiff();
    let layer = layer.clone().to_device(&device);
    let mut inputs = Inputs::single(7, &device);
    let input = inputs.uniform([2, 70, CHANNELS]).require_grad();
    let resets = seqzoo_tests::flags(2, 70, &[11, 40], &device);
    let (upstream, token) = (inputs.uniform([2, 70, CHANNELS]), inputs.uniform([2, CHANNELS]));

    let (output, state) = layer.forward_packed(input.clone(), Some(resets), None);
    let (step, _) = layer.step(token, state);
    let loss = (output.clone() * upstream).sum() + step.clone().sum();
    let gradients = loss.backward();

    let mut outcome = Outcome::default();
    outcome.put("output", &output.inner());
    outcome.put("step", &step.inner());
    outcome.put_gradient("input", &input, &gradients);
    outcome
}

fn agrees_with_flex(device: &Device, tolerance: f64) {
    let flex = Device::flex().autodiff();
    flex.seed(3);
    for kind in MixerConfig::KINDS {
        let layer = small(kind).try_init(&flex).unwrap();
        let (found, wanted) = (outcome(&layer, device), outcome(&layer, &Device::flex()));
        let difference = found.largest_difference(&wanted);
        assert!(difference < tolerance, "{kind} differs by {difference:e}");
    }
}

#[cfg(feature = "wgpu")]
#[test]
fn every_layer_computes_on_wgpu_what_it_computes_on_flex() {
    agrees_with_flex(&Device::wgpu(Default::default()), 1e-4);
}

#[cfg(feature = "ndarray")]
#[allow(deprecated, reason = "Burn has announced the end of ndarray; it is a backend as long as it is there")]
#[test]
fn every_layer_computes_on_ndarray_what_it_computes_on_flex() {
    agrees_with_flex(&Device::ndarray(), 1e-4);
}
