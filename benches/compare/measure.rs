//! Timed runs of this library.

use burn::tensor::{Device, Distribution, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::attention::{AttentionOptions, attention};
use seqzoo::ops::delta_rule::{Beta, DeltaRuleOptions, delta_rule};
use seqzoo::ops::linear_attention::{Decay, LinearAttentionOptions, LinearAttentionState, linear_attention};
use seqzoo_benches::{Shape, decays, strengths, tokens, track, unit_keys, wait};
use std::time::{Duration, Instant};

/// Median seconds of a forward pass, and of a forward and a backward pass.
#[derive(Clone, Copy, Debug)]
pub struct Seconds {
    pub forward: f64,
    pub both: Option<f64>,
}

impl Seconds {
    /// The better of two measurements.
    pub fn or(self, other: Self) -> Self {
        let both = self.both.zip(other.both).map(|(a, b)| a.min(b));
        Self { forward: self.forward.min(other.forward), both }
    }
}

/// What is measured: an operator under a decay.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub operator: Operator,
    /// The decay, by the name that [`decays`] gives it.
    pub decay: &'static str,
    /// The PyTorch peer, where there is one.
    pub peer: Option<&'static str>,
}

/// The operators measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Operator {
    /// Linear attention.
    Linear,
    /// The delta rule.
    Delta,
}

/// All there is to measure.
pub const SUBJECTS: [Subject; 6] = [
    Subject { operator: Operator::Linear, decay: "none", peer: Some("linear_attention") },
    Subject { operator: Operator::Linear, decay: "scalar", peer: Some("scalar_decay") },
    Subject { operator: Operator::Linear, decay: "vector", peer: Some("gla") },
    Subject { operator: Operator::Delta, decay: "none", peer: Some("delta") },
    Subject { operator: Operator::Delta, decay: "scalar", peer: None },
    Subject { operator: Operator::Delta, decay: "vector", peer: None },
];

/// The inputs of a call, which can be made any number of times.
pub struct Call {
    subject: Subject,
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    beta: Tensor<3>,
    decay: Decay,
}

impl Subject {
    /// A name for people.
    pub fn name(self) -> String {
        let operator = if self.operator == Operator::Linear { "linear attention" } else { "delta rule" };
        match self.decay {
            "none" => operator.into(),
            decay => format!("{operator}, {decay} decay"),
        }
    }

    /// Random inputs on `device`.
    pub fn call(self, shape: Shape, device: &Device) -> Call {
        let decay = decays(shape, device).into_iter().find(|(each, _)| *each == self.decay);
        Call {
            subject: self,
            query: tokens(shape, device),
            key: if self.operator == Operator::Delta {
                unit_keys(shape, device)
            } else {
                tokens(shape, device)
            },
            value: tokens(shape, device),
            beta: strengths(shape, device),
            decay: decay.expect("the benchmarks have this decay").1,
        }
    }
}

impl Call {
    /// The inputs as leaves whose gradients are recorded.
    pub fn tracked(self) -> Self {
        Self {
            query: self.query.require_grad(),
            key: self.key.require_grad(),
            value: self.value.require_grad(),
            beta: self.beta.require_grad(),
            decay: track(self.decay),
            ..self
        }
    }

    /// The output and the final memory.
    pub fn run(&self, form: Form, memory: Option<Tensor<4>>) -> (Tensor<4>, Tensor<4>) {
        let (q, k, v) = (self.query.clone(), self.key.clone(), self.value.clone());
        let decay = self.decay.clone();
        match self.subject.operator {
            Operator::Linear => {
                let initial_state = memory.map(|memory| LinearAttentionState { memory, key_sum: None });
                let options = LinearAttentionOptions { initial_state, form, ..Default::default() };
                let (output, state) = linear_attention(q, k, v, decay, options);
                (output, state.memory)
            }
            Operator::Delta => {
                let options = DeltaRuleOptions { initial_state: memory, form, ..Default::default() };
                delta_rule(q, k, v, Beta::Scalar(self.beta.clone()), decay, options)
            }
        }
    }
}

/// `subject` in `form`, with `Σ o²` as the loss, as the PyTorch peer has it.
pub fn seconds(subject: Subject, form: Form, shape: Shape, runs: usize) -> Seconds {
    let device = Device::default();
    let call = subject.call(shape, &device);
    let forward = median(runs, || wait(&device, call.run(form, None)));
    let device = Device::default().autodiff();
    let call = subject.call(shape, &device).tracked();
    let both = median(runs, || wait(&device, call.run(form, None).0.square().sum().backward()));
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
    let call = subject.call(Shape { time: 1, ..shape }, &device);
    let mut memory = None;
    let mut advance = |count: usize| {
        for _ in 0..count {
            let (output, next) = call.run(Form::Auto, memory.take());
            memory = Some(next);
            wait(&device, output);
        }
    };
    let batch = 200;
    let early = median(runs, || advance(batch)) / batch as f64;
    advance(position);
    [early, median(runs, || advance(batch)) / batch as f64]
}

/// Multiply-adds per second of one product of two 1024 x 1024 matrices: the best of many.
pub fn product() -> f64 {
    let device = Device::default();
    let side = 1024;
    let square = || Tensor::<2>::random([side, side], Distribution::Normal(0.0, 1.0), &device);
    let (a, b) = (square(), square());
    let best = (0..30).map(|_| {
        let start = Instant::now();
        wait(&device, a.clone().matmul(b.clone()));
        start.elapsed().as_secs_f64()
    });
    (side * side * side) as f64 / best.fold(f64::INFINITY, f64::min)
}

/// The median of at least `runs` runs, and of as many as fit into a quarter of a second; two go before.
fn median(runs: usize, mut run: impl FnMut()) -> f64 {
    run();
    run();
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < runs || (times.len() < 101 && start.elapsed() < Duration::from_millis(250)) {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
