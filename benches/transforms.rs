//! Fourier transforms of real rows: `realfft`, which the long convolution takes, beside those of Burn's Flex backend, which
//! `burn-signal` takes: `cargo bench -p seqzoo-benches --bench transforms`.
#![allow(missing_docs)]

use burn::backend::flex::FlexTensor;
use burn::backend::flex::ops::fft::{irfft_f32, rfft_f32};
use burn::tensor::TensorData;
use criterion::{Criterion, Throughput, criterion_main};
use rayon::prelude::*;
use realfft::RealFftPlanner;
use realfft::num_complex::Complex;
use seqzoo_benches::criterion;

/// Rows of a call, on all cores.
const ROWS: usize = 256;

fn transforms(criterion: &mut Criterion) {
    for length in [256, 4096, 16_384] {
        let mut group = criterion.benchmark_group(format!("{ROWS} rows of {length}, there and back"));
        group.throughput(Throughput::Elements((ROWS * length) as u64));
        let rows: Vec<f32> = (0..ROWS * length).map(|index| (index as f32 * 0.37).sin()).collect();
        group.bench_function("realfft", |bencher| {
            let mut planner = RealFftPlanner::<f32>::new();
            let (forward, inverse) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
            let mut rows = rows.clone();
            bencher.iter(|| {
                let scratch = || {
                    let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
                    (forward.make_output_vec(), vec![Complex::new(0.0f32, 0.0); scratch])
                };
                rows.par_chunks_mut(length).for_each_init(scratch, |(spectrum, scratch), row| {
                    forward.process_with_scratch(row, spectrum, scratch).expect("the lengths are right");
                    inverse.process_with_scratch(spectrum, row, scratch).expect("the lengths are right");
                    row.iter_mut().for_each(|number| *number /= length as f32);
                });
            });
        });
        group.bench_function("burn", |bencher| {
            let rows = FlexTensor::from_data(TensorData::new(rows.clone(), [ROWS, length]));
            bencher.iter(|| {
                let (re, im) = rfft_f32(rows.clone(), 1, None);
                irfft_f32(re, im, 1, None)
            });
        });
        group.finish();
    }
}

fn benches() {
    transforms(&mut criterion());
}

criterion_main!(benches);
