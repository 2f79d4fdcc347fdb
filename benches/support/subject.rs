//! What is measured: an operator under a decay.

use crate::{Shape, decay, delta_rule, linear_attention};
use burn::tensor::{Device, Tensor};
use seqzoo::ops::{Decay, Form};

/// An operator with kernels, as the benchmarks know it.
#[derive(Debug)]
pub struct Operator {
    /// Its name for people.
    pub name: &'static str,
    /// Its name on the command line.
    pub flag: &'static str,
    /// Decays that have a PyTorch peer, and the name of the peer in `peers/torch_cpu.py`.
    pub peers: &'static [(&'static str, &'static str)],
    /// A call with random inputs under a decay.
    pub call: fn(Decay, Shape, &Device) -> Box<dyn Call>,
    /// Multiply-adds of the CPU kernel's products, per token and head, in the forward pass and in the backward pass:
    /// of the decay by its name and the channels of keys and values.
    #[cfg(feature = "flex")]
    pub counted: fn(&str, usize) -> [f64; 2],
}

/// All operators with kernels.
pub static OPERATORS: [&Operator; 2] = [&linear_attention::OPERATOR, &delta_rule::OPERATOR];

/// An operator's inputs, which can be run any number of times.
pub trait Call {
    /// The inputs as leaves whose gradients are recorded.
    fn tracked(self: Box<Self>) -> Box<dyn Call>;
    /// The output for all tokens, from a state of zeros.
    fn run(&self, form: Form) -> Tensor<4>;
    /// The output for the tokens once more, from the state after the last `step`; initially zeros.
    fn step(&mut self) -> Tensor<4>;
    /// The numbers in all inputs.
    fn numbers(&self) -> usize;
}

/// An operator under a decay.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The operator.
    pub operator: &'static Operator,
    /// The decay, one of [`DECAYS`](crate::DECAYS).
    pub decay: &'static str,
}

impl Subject {
    /// A name for people.
    pub fn name(self) -> String {
        match self.decay {
            "none" => self.operator.name.into(),
            decay => format!("{}, {decay} decay", self.operator.name),
        }
    }

    /// The PyTorch peer, if there is one.
    pub fn peer(self) -> Option<&'static str> {
        self.operator.peers.iter().find(|(decay, _)| *decay == self.decay).map(|(_, peer)| *peer)
    }

    /// A call with random inputs on `device`.
    pub fn call(self, shape: Shape, device: &Device) -> Box<dyn Call> {
        (self.operator.call)(decay(self.decay, shape, device), shape, device)
    }
}
