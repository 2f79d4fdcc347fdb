//! Timed runs of this library.

use burn::tensor::Device;
use seqzoo::ops::Form;
use seqzoo::ops::attention::{AttentionOptions, attention};
use seqzoo_benches::{Seconds, Shape, Subject, median, tokens, wait};

/// `subject` in `form`, with `Σ o²` as the loss, as the PyTorch peer has it.
pub fn seconds(subject: Subject, form: Form, shape: Shape, runs: usize) -> Seconds {
    let device = Device::default();
    let call = subject.call(shape, &device);
    let forward = median(runs, || wait(&device, call.run(form)));
    let device = Device::default().autodiff();
    let call = subject.call(shape, &device).tracked();
    let both = median(runs, || wait(&device, call.run(form).square().sum().backward()));
    Seconds { forward, both: Some(both) }
}

/// The loss of a backward pass and its gradient, by themselves.
pub fn loss(shape: Shape, runs: usize) -> f64 {
    let device = Device::default().autodiff();
    let output = tokens(shape, &device).require_grad();
    median(runs, || wait(&device, output.clone().square().sum().backward()))
}

/// Softmax attention; the backward pass keeps all scores and is left out for long sequences.
pub fn softmax(shape: Shape, runs: usize) -> Seconds {
    let device = Device::default();
    let [q, k, v] = [(); 3].map(|()| tokens(shape, &device));
    let forward = median(runs, || {
        wait(&device, attention(q.clone(), k.clone(), v.clone(), AttentionOptions::default()));
    });
    let both = (shape.time < 8192).then(|| {
        let device = Device::default().autodiff();
        let [q, k, v] = [(); 3].map(|()| tokens(shape, &device).require_grad());
        median(runs, || {
            let (o, _) = attention(q.clone(), k.clone(), v.clone(), AttentionOptions::default());
            wait(&device, o.square().sum().backward());
        })
    });
    Seconds { forward, both }
}

/// One token after another: seconds per token at the start and after `position` tokens.
pub fn step(subject: Subject, shape: Shape, position: usize, runs: usize) -> [f64; 2] {
    let device = Device::default();
    let mut call = subject.call(Shape { time: 1, ..shape }, &device);
    let mut advance = |count: usize| {
        for _ in 0..count {
            wait(&device, call.step());
        }
    };
    let batch = 200;
    let early = median(runs, || advance(batch)) / batch as f64;
    advance(position);
    [early, median(runs, || advance(batch)) / batch as f64]
}
