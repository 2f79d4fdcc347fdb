//! Linear attention.

use crate::{Call, Operator, Shape, numbers, tokens, track};
use burn::tensor::{Device, Tensor};
use seqzoo::ops::linear_attention::{LinearAttentionOptions, LinearAttentionState, linear_attention};
use seqzoo::ops::{Decay, Form};

pub static OPERATOR: Operator = Operator {
    name: "linear attention",
    flag: "linear",
    kinds: &crate::DECAYS,
    peers: &[("none", "linear_attention"), ("scalar", "scalar_decay"), ("vector", "gla")],
    call: |decay, shape, device| Box::new(Inputs::random(crate::decay(decay, shape, device), shape, device)),
    // Queries read the memory.
    #[cfg(feature = "flex")]
    counted: |decay, channels| crate::counted::matrix_memory(1, decay, [channels; 2]),
};

struct Inputs {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    decay: Decay,
    state: Option<LinearAttentionState>,
}

impl Inputs {
    fn random(decay: Decay, shape: Shape, device: &Device) -> Self {
        let [query, key, value] = [(); 3].map(|()| tokens(shape, device));
        Self { query, key, value, decay, state: None }
    }

    fn output(
        &self,
        form: Form,
        initial_state: Option<LinearAttentionState>,
    ) -> (Tensor<4>, LinearAttentionState) {
        let (query, key, value) = (self.query.clone(), self.key.clone(), self.value.clone());
        let options = LinearAttentionOptions { initial_state, form, ..Default::default() };
        linear_attention(query, key, value, self.decay.clone(), options)
    }
}

impl Call for Inputs {
    fn tracked(self: Box<Self>) -> Box<dyn Call> {
        let [query, key, value] = [self.query, self.key, self.value].map(Tensor::require_grad);
        Box::new(Self { query, key, value, decay: track(self.decay), state: None })
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
        let sequences = [&self.query, &self.key, &self.value];
        sequences.map(|x| x.shape().num_elements()).iter().sum::<usize>() + numbers(&self.decay)
    }
}
