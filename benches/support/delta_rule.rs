//! The delta rule.

use crate::{Call, Operator, Shape, betas, numbers, tokens, track, unit_keys};
use burn::tensor::{Device, Tensor};
use seqzoo::ops::delta_rule::{Beta, DeltaRuleOptions, delta_rule};
use seqzoo::ops::{Decay, Form};

pub static OPERATOR: Operator = Operator {
    name: "delta rule",
    flag: "delta",
    kinds: &crate::DECAYS,
    peers: &[("none", "delta")],
    call: |decay, shape, device| Box::new(Inputs::random(crate::decay(decay, shape, device), shape, device)),
    // Queries read the memory, and so do keys; then the triangle between them is solved.
    #[cfg(feature = "flex")]
    counted: |decay, channels| {
        let solve = crate::counted::solve(channels);
        crate::counted::matrix_memory(2, decay, [channels; 2]).map(|products| products + solve)
    },
};

struct Inputs {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    beta: Tensor<3>,
    decay: Decay,
    memory: Option<Tensor<4>>,
}

impl Inputs {
    fn random(decay: Decay, shape: Shape, device: &Device) -> Self {
        Self {
            query: tokens(shape, device),
            key: unit_keys(shape, device),
            value: tokens(shape, device),
            beta: betas(shape, device),
            decay,
            memory: None,
        }
    }

    fn output(&self, form: Form, initial_state: Option<Tensor<4>>) -> (Tensor<4>, Tensor<4>) {
        let (query, key, value) = (self.query.clone(), self.key.clone(), self.value.clone());
        let options = DeltaRuleOptions { initial_state, form, ..Default::default() };
        delta_rule(query, key, value, Beta::Scalar(self.beta.clone()), self.decay.clone(), options)
    }
}

impl Call for Inputs {
    fn tracked(self: Box<Self>) -> Box<dyn Call> {
        let [query, key, value] = [self.query, self.key, self.value].map(Tensor::require_grad);
        let (beta, decay) = (self.beta.require_grad(), track(self.decay));
        Box::new(Self { query, key, value, beta, decay, memory: None })
    }

    fn run(&self, form: Form) -> Tensor<4> {
        self.output(form, None).0
    }

    fn step(&mut self) -> Tensor<4> {
        let memory = self.memory.take();
        let (output, memory) = self.output(Form::Auto, memory);
        self.memory = Some(memory);
        output
    }

    fn numbers(&self) -> usize {
        let sequences = [&self.query, &self.key, &self.value].map(|x| x.shape().num_elements());
        sequences.iter().sum::<usize>() + self.beta.shape().num_elements() + numbers(&self.decay)
    }
}
