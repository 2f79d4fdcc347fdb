//! Operators: `cargo bench -p seqzoo-benches --bench operators`.
#![recursion_limit = "256"]
#![allow(missing_docs)]

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{Criterion, Throughput, criterion_main};
use seqzoo::ops::Form;
use seqzoo::ops::attention::{AttentionOptions, attention};
use seqzoo::ops::causal_conv::{CausalConvOptions, causal_conv};
use seqzoo_benches::{OPERATORS, SHAPES, Shape, Subject, criterion, tokens, wait};

/// The allocator of the `recall` binary: see there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// All forms of all operators with kernels.
fn forms(criterion: &mut Criterion) {
    let device = Device::default();
    let recording = Device::default().autodiff();
    let forms = [("kernel", Form::Kernel), ("chunked", Form::Chunked { size: 64 })];
    for (operator, shape) in OPERATORS.into_iter().flat_map(|operator| SHAPES.map(|shape| (operator, shape)))
    {
        let mut group = criterion.benchmark_group(format!("{}, {}", operator.name, shape.name()));
        group.throughput(Throughput::Elements(shape.tokens()));
        for kind in operator.kinds {
            let call = Subject { operator, kind }.call(shape, &device);
            for (name, form) in forms {
                group.bench_function(format!("{}, {name}, forward", kind.name), |bencher| {
                    bencher.iter(|| wait(&device, call.run(form)))
                });
            }
        }
        for kind in operator.kinds {
            let call = Subject { operator, kind }.call(shape, &recording).tracked();
            for (name, form) in forms {
                group.bench_function(format!("{}, {name}, forward and backward", kind.name), |bencher| {
                    bencher.iter(|| wait(&recording, call.run(form).square().sum().backward()))
                });
            }
        }
        group.finish();
    }
}

/// One token after another.
fn steps(criterion: &mut Criterion) {
    let device = Device::default();
    let shape = Shape { batch: 1, time: 1, heads: 4, head_dim: 64 };
    for operator in OPERATORS {
        let mut group = criterion.benchmark_group(format!("{} step, {}", operator.name, shape.name()));
        group.throughput(Throughput::Elements(1));
        for kind in operator.kinds {
            let mut call = Subject { operator, kind }.call(shape, &device);
            group.bench_function(kind.name, |bencher| bencher.iter(|| wait(&device, call.step())));
        }
        group.finish();
    }
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
    forms(&mut criterion);
    steps(&mut criterion);
    softmax(&mut criterion);
    convolution(&mut criterion);
    product(&mut criterion);
}
criterion_main!(benches);
