//! Operators: `cargo bench -p seqzoo-benches --bench operators`.
#![recursion_limit = "256"]
#![allow(missing_docs)]

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{Criterion, Throughput, criterion_main};
use seqzoo::ops::Form;
use seqzoo::ops::attention::{AttentionOptions, attention};
use seqzoo::ops::causal_conv::{CausalConvOptions, causal_conv};
use seqzoo::ops::delta_rule::{Beta, DeltaRuleOptions, delta_rule};
use seqzoo::ops::linear_attention::{LinearAttentionOptions, linear_attention};
use seqzoo_benches::{SHAPES, Shape, criterion, decays, strengths, tokens, track, unit_keys, wait};

/// The allocator of the `recall` binary: see there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn linear(criterion: &mut Criterion) {
    let device = Device::default();
    let recording = Device::default().autodiff();
    for shape in SHAPES {
        let mut group = criterion.benchmark_group(format!("linear attention, {}", shape.name()));
        group.throughput(Throughput::Elements(shape.tokens()));
        let qkv = || [(); 3].map(|()| tokens(shape, &device));
        let forms = [("kernel", Form::Kernel), ("chunked", Form::Chunked { size: 64 })];
        for (name, decay) in decays(shape, &device) {
            let [q, k, v] = qkv();
            for (of, form) in forms {
                group.bench_function(format!("{name}, {of}, forward"), |bencher| {
                    bencher.iter(|| {
                        let options = LinearAttentionOptions { form, ..Default::default() };
                        let (q, k, v) = (q.clone(), k.clone(), v.clone());
                        wait(&device, linear_attention(q, k, v, decay.clone(), options))
                    })
                });
            }
        }
        for (name, decay) in decays(shape, &recording) {
            let [q, k, v] = [(); 3].map(|()| tokens(shape, &recording).require_grad());
            let decay = track(decay);
            for (of, form) in forms {
                group.bench_function(format!("{name}, {of}, forward and backward"), |bencher| {
                    bencher.iter(|| {
                        let options = LinearAttentionOptions { form, ..Default::default() };
                        let (q, k, v) = (q.clone(), k.clone(), v.clone());
                        let (o, _) = linear_attention(q, k, v, decay.clone(), options);
                        wait(&recording, o.square().sum().backward())
                    })
                });
            }
        }
        group.finish();
    }
}

fn delta(criterion: &mut Criterion) {
    let device = Device::default();
    let recording = Device::default().autodiff();
    for shape in SHAPES {
        let mut group = criterion.benchmark_group(format!("delta rule, {}", shape.name()));
        group.throughput(Throughput::Elements(shape.tokens()));
        let forms = [("kernel", Form::Kernel), ("chunked", Form::Chunked { size: 64 })];
        for (name, decay) in decays(shape, &device) {
            let [q, k, v] = [tokens(shape, &device), unit_keys(shape, &device), tokens(shape, &device)];
            let beta = strengths(shape, &device);
            for (of, form) in forms {
                group.bench_function(format!("{name}, {of}, forward"), |bencher| {
                    bencher.iter(|| {
                        let options = DeltaRuleOptions { form, ..Default::default() };
                        let (q, k, v, beta) = (q.clone(), k.clone(), v.clone(), Beta::Scalar(beta.clone()));
                        wait(&device, delta_rule(q, k, v, beta, decay.clone(), options))
                    })
                });
            }
        }
        for (name, decay) in decays(shape, &recording) {
            let [q, k, v] =
                [tokens(shape, &recording), unit_keys(shape, &recording), tokens(shape, &recording)]
                    .map(Tensor::require_grad);
            let (beta, decay) = (strengths(shape, &recording).require_grad(), track(decay));
            for (of, form) in forms {
                group.bench_function(format!("{name}, {of}, forward and backward"), |bencher| {
                    bencher.iter(|| {
                        let options = DeltaRuleOptions { form, ..Default::default() };
                        let (q, k, v, beta) = (q.clone(), k.clone(), v.clone(), Beta::Scalar(beta.clone()));
                        let (o, _) = delta_rule(q, k, v, beta, decay.clone(), options);
                        wait(&recording, o.square().sum().backward())
                    })
                });
            }
        }
        group.finish();
    }
}

fn delta_step(criterion: &mut Criterion) {
    let device = Device::default();
    let shape = Shape { batch: 1, time: 1, heads: 4, head_dim: 64 };
    let mut group = criterion.benchmark_group(format!("delta rule step, {}", shape.name()));
    group.throughput(Throughput::Elements(1));
    for (name, decay) in decays(shape, &device) {
        let [q, k, v] = [tokens(shape, &device), unit_keys(shape, &device), tokens(shape, &device)];
        let beta = strengths(shape, &device);
        let run = |memory| {
            let options = DeltaRuleOptions { initial_state: memory, ..Default::default() };
            let beta = Beta::Scalar(beta.clone());
            delta_rule(q.clone(), k.clone(), v.clone(), beta, decay.clone(), options)
        };
        let mut memory = Some(run(None).1);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (output, next) = run(memory.take());
                memory = Some(next);
                wait(&device, output)
            })
        });
    }
    group.finish();
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
                wait(&device, output)
            })
        });
    }
    group.finish();
}

fn softmax(criterion: &mut Criterion) {
    let device = Device::default();
    let recording = Device::default().autodiff();
    for shape in SHAPES {
        let mut group = criterion.benchmark_group(format!("softmax attention, {}", shape.name()));
        group.throughput(Throughput::Elements(shape.tokens()));
        let [q, k, v] = [(); 3].map(|()| tokens(shape, &device));
        group.bench_function("forward", |bencher| {
            let run = || attention(q.clone(), k.clone(), v.clone(), AttentionOptions::default());
            bencher.iter(|| wait(&device, run()))
        });
        // The whole matrix of scores is kept for the backward pass: gigabytes at 8192 tokens.
        if shape.time < 8192 {
            let [q, k, v] = [(); 3].map(|()| tokens(shape, &recording).require_grad());
            group.bench_function("forward and backward", |bencher| {
                bencher.iter(|| {
                    let (o, _) = attention(q.clone(), k.clone(), v.clone(), AttentionOptions::default());
                    wait(&recording, o.square().sum().backward())
                })
            });
        }
        group.finish();
    }
}

fn convolution(criterion: &mut Criterion) {
    let device = Device::default();
    let recording = Device::default().autodiff();
    for shape in SHAPES {
        let mut group = criterion.benchmark_group(format!("short convolution of 4, {}", shape.name()));
        group.throughput(Throughput::Elements(shape.tokens()));
        let channels = shape.heads * shape.head_dim;
        let flat = |device: &Device| tokens(shape, device).reshape([shape.batch, shape.time, channels]);
        let (input, weight) = (flat(&device), Tensor::<2>::ones([channels, 4], &device));
        group.bench_function("forward", |bencher| {
            let run = || causal_conv(input.clone(), weight.clone(), CausalConvOptions::default());
            bencher.iter(|| wait(&device, run()))
        });
        let input = flat(&recording).require_grad();
        let weight = Tensor::<2>::ones([channels, 4], &recording).require_grad();
        group.bench_function("forward and backward", |bencher| {
            bencher.iter(|| {
                let (o, _) = causal_conv(input.clone(), weight.clone(), CausalConvOptions::default());
                wait(&recording, o.square().sum().backward())
            })
        });
        group.finish();
    }
}

/// The machine's limit: a large product, in multiply-adds per second.
fn product(criterion: &mut Criterion) {
    let device = Device::default();
    let side = 1024;
    let square = || Tensor::<2>::random([side, side], Distribution::Normal(0.0, 1.0), &device);
    let (a, b) = (square(), square());
    let mut group = criterion.benchmark_group("limit");
    group.throughput(Throughput::Elements((side * side * side) as u64));
    group.bench_function("product of 1024 x 1024 matrices", |bencher| {
        bencher.iter(|| wait(&device, a.clone().matmul(b.clone())))
    });
    group.finish();
}

fn benches() {
    let mut criterion = criterion();
    linear(&mut criterion);
    step(&mut criterion);
    delta(&mut criterion);
    delta_step(&mut criterion);
    softmax(&mut criterion);
    convolution(&mut criterion);
    product(&mut criterion);
}
criterion_main!(benches);
