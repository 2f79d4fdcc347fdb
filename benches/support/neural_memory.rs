//! The neural memory, in chunks of 64 tokens.

use crate::{Call, Kind, Operator, Shape, tokens, unit_keys};
use burn::tensor::{Device, Distribution, Tensor, activation::sigmoid};
use seqzoo::ops::Form;
use seqzoo::ops::neural_memory::{Gates, NeuralMemoryOptions, NeuralMemoryState, neural_memory};

pub static OPERATOR: Operator = Operator {
    name: "neural memory",
    flag: "memory",
    kinds: &[
        Kind { name: "linear", title: ", linear", in_pages: true },
        Kind { name: "deep", title: ", two layers", in_pages: true },
    ],
    peers: &[("linear", "neural_memory"), ("deep", "neural_memory_deep")],
    call: |kind, shape, device| Box::new(Inputs::random(kind, shape, device)),
    #[cfg(feature = "flex")]
    counted: |kind, channels| crate::counted::neural_memory(&widths(kind, channels)),
};

/// The channels into the first layer, between layers, and out of the last.
fn widths(kind: &str, channels: usize) -> Vec<usize> {
    if kind == "linear" { vec![channels; 2] } else { vec![channels, 2 * channels, channels] }
}

struct Inputs {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    gates: Gates,
    weights: Vec<Tensor<4>>,
    state: Option<NeuralMemoryState>,
}

impl Inputs {
    fn random(kind: &str, shape: Shape, device: &Device) -> Self {
        let Shape { batch, time, heads, head_dim } = shape;
        let gate = |mean: f64| {
            sigmoid(Tensor::<3>::random([batch, time, heads], Distribution::Normal(mean, 1.0), device))
        };
        let weight = |ends: &[usize]| {
            let normal = Distribution::Normal(0.0, (ends[0] as f64).powf(-0.5));
            Tensor::random([1, heads, ends[0], ends[1]], normal, device)
        };
        // A deep memory diverges with the steps that a linear one can take; and where it forgets more than it then learns, it
        // dies down to denormal numbers, which are slow.
        let (forget, step) = if kind == "linear" { (-4.0, -2.0) } else { (-9.0, -7.0) };
        Self {
            query: unit_keys(shape, device),
            key: unit_keys(shape, device),
            value: tokens(shape, device),
            gates: Gates { forget: gate(forget), momentum: gate(2.0), step: gate(step) },
            weights: widths(kind, head_dim).windows(2).map(weight).collect(),
            state: None,
        }
    }

    fn output(&self, form: Form, initial_state: Option<NeuralMemoryState>) -> (Tensor<4>, NeuralMemoryState) {
        let (query, key, value) = (self.query.clone(), self.key.clone(), self.value.clone());
        let options = NeuralMemoryOptions { initial_state, chunk: 64, form, ..Default::default() };
        neural_memory(query, key, value, self.gates.clone(), self.weights.clone(), options)
    }
}

impl Call for Inputs {
    fn tracked(self: Box<Self>) -> Box<dyn Call> {
        let [query, key, value] = [self.query, self.key, self.value].map(Tensor::require_grad);
        let Gates { forget, momentum, step } = self.gates;
        let [forget, momentum, step] = [forget, momentum, step].map(|gate| gate.detach().require_grad());
        let weights = self.weights.into_iter().map(Tensor::require_grad).collect();
        Box::new(Self { query, key, value, gates: Gates { forget, momentum, step }, weights, state: None })
    }

    fn run(&self, form: Form) -> Tensor<4> {
        self.output(form, None).0
    }

    fn step(&mut self) -> Tensor<4> {
        let state = self.state.take();
        let (output, state) = self.output(Form::Auto, state);
        self.state = Some(state);
        output
    }

    fn numbers(&self) -> usize {
        let Gates { forget, momentum, step } = &self.gates;
        let sequences = [&self.query, &self.key, &self.value].map(|x| x.shape().num_elements());
        let gates = [forget, momentum, step].map(|x| x.shape().num_elements());
        let weights = self.weights.iter().map(|x| x.shape().num_elements());
        sequences.into_iter().chain(gates).chain(weights).sum()
    }
}
