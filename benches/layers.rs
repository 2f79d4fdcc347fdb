//! Layers with their published defaults: `cargo bench -p seqzoo-benches --bench layers`.
#![allow(missing_docs)]

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{Criterion, Throughput, criterion_main};
use seqzoo::{MixerConfig, SequenceMixer};
use seqzoo_benches::criterion;

const CHANNELS: usize = 256;
const TIME: usize = 512;

fn layers(criterion: &mut Criterion) {
    let device = Device::default();
    let recording = Device::default().autodiff();
    let input =
        |device: &Device| Tensor::<3>::random([1, TIME, CHANNELS], Distribution::Normal(0.0, 1.0), device);
    for kind in MixerConfig::KINDS {
        let config = MixerConfig::published(kind, CHANNELS).expect("a listed layer has defaults");
        let mut group = criterion.benchmark_group(format!("{kind}, D{CHANNELS}"));
        group.throughput(Throughput::Elements(TIME as u64));

        let layer = config.try_init(&device).expect("256 channels suit every default");
        let plain = input(&device);
        group.bench_function(format!("forward, T{TIME}"), |bencher| {
            bencher.iter(|| layer.forward(plain.clone(), None).0.into_data())
        });
        let trained = config.try_init(&recording).expect("256 channels suit every default");
        let tracked = input(&recording).require_grad();
        group.bench_function(format!("forward and backward, T{TIME}"), |bencher| {
            bencher.iter(|| {
                let (output, _) = trained.forward(tracked.clone(), None);
                tracked.grad(&output.square().sum().backward()).map(Tensor::into_data)
            })
        });

        group.throughput(Throughput::Elements(1));
        let token = plain.clone().narrow(1, 0, 1).squeeze_dim::<2>(1);
        let (_, state) = layer.forward(plain.clone(), None);
        group.bench_function(format!("step after {TIME} tokens"), |bencher| {
            bencher.iter(|| layer.step(token.clone(), state.clone()).0.into_data())
        });
        group.finish();
    }
}

fn benches() {
    layers(&mut criterion());
}
criterion_main!(benches);
