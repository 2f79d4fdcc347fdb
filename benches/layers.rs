//! Layers with their published defaults, but for heads made for wide models: `cargo bench -p seqzoo-benches --bench layers`.
#![recursion_limit = "256"]
#![allow(missing_docs)]

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{Criterion, Throughput, criterion_main};
use seqzoo::{MixerConfig, MixerState, SequenceMixer};
use seqzoo_benches::{criterion, wait};

const CHANNELS: usize = 256;

/// The allocator of the `recall` binary: see there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The layer as published. Where that means heads for a model of 2048 channels, as many as take the same share of this one.
fn config(kind: &str) -> MixerConfig {
    let options = match kind {
        "gated_delta_net" | "gated_delta_product" => serde_json::json!({"num_heads": 3, "head_dim": 64}),
        "kimi_delta_attention" | "mixture_of_memories" => serde_json::json!({"num_heads": 4, "head_dim": 64}),
        _ => serde_json::json!({}),
    };
    let options = options.as_object().expect("an object").clone();
    MixerConfig::from_options(kind, CHANNELS, options).expect("the options are the layer's")
}

fn layers(criterion: &mut Criterion) {
    let device = Device::default();
    let recording = Device::default().autodiff();
    for kind in MixerConfig::KINDS {
        let config = config(kind);
        let layer = config.try_init(&device).expect("256 channels suit every layer");
        let trained = config.try_init(&recording).expect("256 channels suit every layer");
        let mut group = criterion.benchmark_group(format!("{kind}, D{CHANNELS}"));
        for time in [512, 2048] {
            let input = |device: &Device| {
                Tensor::<3>::random([1, time, CHANNELS], Distribution::Normal(0.0, 1.0), device)
            };
            group.throughput(Throughput::Elements(time as u64));
            let plain = input(&device);
            group.bench_function(format!("forward, T{time}"), |bencher| {
                bencher.iter(|| wait(&device, layer.forward(plain.clone(), None)))
            });
            let tracked = input(&recording).require_grad();
            group.bench_function(format!("forward and backward, T{time}"), |bencher| {
                bencher.iter(|| {
                    let (output, _) = trained.forward(tracked.clone(), None);
                    wait(&recording, output.square().sum().backward())
                })
            });

            group.throughput(Throughput::Elements(1));
            let token = plain.clone().narrow(1, 0, 1).squeeze_dim::<2>(1);
            let (_, state) = layer.forward(plain, None);
            // Softmax attention's state would grow under the clock, so each step starts from the same one.
            let grows = state.bytes().cache > 0;
            let mut next = Some(state.clone());
            group.bench_function(format!("step after {time} tokens"), |bencher| {
                bencher.iter(|| {
                    let from =
                        if grows { state.clone() } else { next.take().expect("the last step left one") };
                    let (output, after) = layer.step(token.clone(), from);
                    next = Some(after);
                    wait(&device, output)
                })
            });
        }
        group.finish();
    }
}

fn benches() {
    layers(&mut criterion());
}
criterion_main!(benches);
