//! Operators: `cargo bench -p seqzoo-benches --bench operators`.
#![allow(missing_docs)]

use burn::tensor::{Device, Tensor};
use criterion::{Criterion, Throughput, criterion_main};
use seqzoo::ops::attention::{AttentionOptions, attention};
use seqzoo::ops::causal_conv::{CausalConvOptions, causal_conv};
use seqzoo::ops::linear_attention::{Decay, LinearAttentionOptions, linear_attention};
use seqzoo_benches::{SHAPES, Shape, criterion, decays, tokens};

fn track(decay: Decay) -> Decay {
    match decay {
        Decay::None => Decay::None,
        Decay::PerHead(log) => Decay::PerHead(log.require_grad()),
        Decay::Scalar(log) => Decay::Scalar(log.require_grad()),
        Decay::Vector(log) => Decay::Vector(log.require_grad()),
    }
}

fn linear(criterion: &mut Criterion) {
    let device = Device::default();
    let recording = Device::default().autodiff();
    for shape in SHAPES {
        let mut group = criterion.benchmark_group(format!("linear attention, {}", shape.name()));
        group.throughput(Throughput::Elements(shape.tokens()));
        let qkv = || [(); 3].map(|()| tokens(shape, &device));
        for (name, decay) in decays(shape, &device) {
            let [q, k, v] = qkv();
            group.bench_function(format!("{name}, forward"), |bencher| {
                bencher.iter(|| {
                    let options = LinearAttentionOptions::default();
                    linear_attention(q.clone(), k.clone(), v.clone(), decay.clone(), options).0.into_data()
                })
            });
        }
        for (name, decay) in decays(shape, &recording) {
            let [q, k, v] = [(); 3].map(|()| tokens(shape, &recording).require_grad());
            let decay = track(decay);
            group.bench_function(format!("{name}, forward and backward"), |bencher| {
                bencher.iter(|| {
                    let options = LinearAttentionOptions::default();
                    let (o, _) = linear_attention(q.clone(), k.clone(), v.clone(), decay.clone(), options);
                    let gradients = o.square().sum().backward();
                    q.grad(&gradients).map(Tensor::into_data)
                })
            });
        }
        group.finish();
    }
}

fn step(criterion: &mut Criterion) {
    let device = Device::default();
    let shape = Shape { batch: 1, time: 1, heads: 4, head_dim: 64 };
    let mut group = criterion.benchmark_group(format!("linear attention step, {}", shape.name()));
    group.throughput(Throughput::Elements(1));
    for (name, decay) in decays(shape, &device) {
        let [q, k, v] = [(); 3].map(|()| tokens(shape, &device));
        let run = |state| {
            let options = LinearAttentionOptions { initial_state: state, ..Default::default() };
            linear_attention(q.clone(), k.clone(), v.clone(), decay.clone(), options)
        };
        let mut state = Some(run(None).1);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (output, next) = run(state.take());
                state = Some(next);
                output.into_data()
            })
        });
    }
    group.finish();
}

fn others(criterion: &mut Criterion) {
    let recording = Device::default().autodiff();
    for shape in [SHAPES[0], SHAPES[1]] {
        let mut group = criterion.benchmark_group(format!("baselines, {}", shape.name()));
        group.throughput(Throughput::Elements(shape.tokens()));
        let [q, k, v] = [(); 3].map(|()| tokens(shape, &recording).require_grad());
        group.bench_function("softmax attention, forward and backward", |bencher| {
            bencher.iter(|| {
                let (o, _) = attention(q.clone(), k.clone(), v.clone(), AttentionOptions::default());
                q.grad(&o.square().sum().backward()).map(Tensor::into_data)
            })
        });
        let channels = shape.heads * shape.head_dim;
        let input = tokens(shape, &recording).reshape([shape.batch, shape.time, channels]).require_grad();
        let weight = Tensor::<2>::ones([channels, 4], &recording).require_grad();
        group.bench_function("short convolution of 4, forward and backward", |bencher| {
            bencher.iter(|| {
                let (o, _) = causal_conv(input.clone(), weight.clone(), CausalConvOptions::default());
                input.grad(&o.square().sum().backward()).map(Tensor::into_data)
            })
        });
        group.finish();
    }
}

fn benches() {
    let mut criterion = criterion();
    linear(&mut criterion);
    step(&mut criterion);
    others(&mut criterion);
}
criterion_main!(benches);
