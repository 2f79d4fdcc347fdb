//! Every layer of the zoo on the backends that have no tests of their own, against Flex: forward, gradient and step.
#![cfg(any(feature = "wgpu", feature = "ndarray"))]

use burn::module::Module;
use burn::tensor::{Device, FloatDType};
use seqzoo::training::in_precision;
use seqzoo::{Mixer, MixerConfig, SequenceMixer};
use seqzoo_tests::{Inputs, Outcome};
use serde_json::{Map, Value};
use std::sync::{Mutex, PoisonError};

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

/// What a layer computes on `device` in `precision`: over a sequence in chunks and in packed pieces, its gradient, and one
/// token more.
fn outcome(layer: &Mixer, device: &Device, precision: FloatDType) -> Outcome {
    let device = device.clone().autodiff();
    let layer = in_precision(&layer.clone().to_device(&device), precision);
    let mut inputs = Inputs::single(7, &device);
    let input = inputs.uniform([2, 70, CHANNELS]).require_grad();
    let resets = seqzoo_tests::flags(2, 70, &[11, 40], &device);
    let (upstream, token) = (inputs.uniform([2, 70, CHANNELS]), inputs.uniform([2, CHANNELS]));

    let (output, state) = layer.forward_packed(input.clone().cast(precision), Some(resets), None);
    let (step, _) = layer.step(token.cast(precision), state);
    let (output, step) = (output.cast(FloatDType::F32), step.cast(FloatDType::F32));
    let loss = (output.clone() * upstream).sum() + step.clone().sum();
    let gradients = loss.backward();

    let mut outcome = Outcome::default();
    outcome.put("output", &output.inner());
    outcome.put("step", &step.inner());
    outcome.put_gradient("input", &input, &gradients);
    outcome
}

/// Layers of these kinds, with parameters that are the same in every run: tests draw from one random generator.
fn drawn(kinds: &[&str]) -> Vec<Mixer> {
    static DRAWING: Mutex<()> = Mutex::new(());
    let _drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    let flex = Device::flex().autodiff();
    flex.seed(3);
    kinds.iter().map(|kind| small(kind).try_init(&flex).unwrap().materialize()).collect()
}

fn agrees_with_flex(device: &Device, tolerance: f64) {
    for (kind, layer) in MixerConfig::KINDS.iter().zip(drawn(MixerConfig::KINDS)) {
        let run = |device: &Device| outcome(&layer, device, FloatDType::F32);
        let difference = run(device).largest_difference(&run(&Device::flex()));
        assert!(difference < tolerance, "{kind} differs by {difference:e}");
    }
}

#[cfg(feature = "wgpu")]
#[test]
fn every_layer_computes_on_wgpu_what_it_computes_on_flex() {
    agrees_with_flex(&Device::wgpu(Default::default()), 1e-4);
}

/// Products in `f16`, which this backend has, against those in `f32`: all numbers together, since single ones that are nearly 0
/// before a norm say little.
#[cfg(feature = "wgpu")]
#[test]
fn layers_compute_in_half_precision_on_wgpu() {
    let kinds =
        ["softmax_attention", "linear_attention", "gated_linear_attention", "gated_delta_net", "mamba2"];
    for (kind, layer) in kinds.into_iter().zip(drawn(&kinds)) {
        let run = |device: Device, precision| outcome(&layer, &device, precision);
        let found = run(Device::wgpu(Default::default()), FloatDType::F16);
        let wanted = run(Device::flex(), FloatDType::F32);
        let length = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
        for name in wanted.names() {
            let (found, wanted) = (found.values(name), wanted.values(name));
            let gap = length(&mut found.iter().zip(wanted).map(|(found, wanted)| found - wanted));
            let error = gap / length(&mut wanted.iter().copied());
            assert!(error < 10.0 / 2048.0, "{kind}: {name} differs by {error:e}");
        }
    }
}

#[cfg(feature = "ndarray")]
#[allow(deprecated, reason = "Burn has announced the end of ndarray; it is a backend as long as it is there")]
#[test]
fn every_layer_computes_on_ndarray_what_it_computes_on_flex() {
    agrees_with_flex(&Device::ndarray(), 1e-4);
}
