//! What is measured: an operator of a kind, such as one under a decay.

use crate::{Shape, delta_rule, linear_attention, neural_memory};
use burn::tensor::{Device, Tensor};
use seqzoo::ops::Form;

/// An operator with kernels, as the benchmarks know it.
#[derive(Debug)]
pub struct Operator {
    /// Its name for people.
    pub name: &'static str,
    /// Its name on the command line.
    pub flag: &'static str,
    /// The kinds that are measured.
    pub kinds: &'static [Kind],
    /// Kinds that have a PyTorch peer, and the name of the peer in `peers/torch_cpu.py`.
    pub peers: &'static [(&'static str, &'static str)],
    /// A call with random inputs of a kind.
    pub call: fn(&str, Shape, &Device) -> Box<dyn Call>,
    /// Multiply-adds of the CPU kernel's products, per token and head, in the forward pass and in the backward pass:
    /// of the kind and the channels of keys and values.
    #[cfg(feature = "flex")]
    pub counted: fn(&str, usize) -> [f64; 2],
}

/// One of several kinds of an operator that cost differently.
#[derive(Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it adds to the operator's name for people.
    pub title: &'static str,
    /// Whether it has rows of its own in a page; another kind costs as much.
    pub in_pages: bool,
}

/// All operators of matrices with kernels.
pub static OPERATORS: [&Operator; 3] =
    [&linear_attention::OPERATOR, &delta_rule::OPERATOR, &neural_memory::OPERATOR];

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

/// An operator of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The operator.
    pub operator: &'static Operator,
    /// One of its kinds.
    pub kind: &'static Kind,
}

impl Subject {
    /// A name for people.
    pub fn name(self) -> String {
        format!("{}{}", self.operator.name, self.kind.title)
    }

    /// The PyTorch peer, if there is one.
    pub fn peer(self) -> Option<&'static str> {
        self.operator.peers.iter().find(|(kind, _)| *kind == self.kind.name).map(|(_, peer)| *peer)
    }

    /// A call with random inputs on `device`.
    pub fn call(self, shape: Shape, device: &Device) -> Box<dyn Call> {
        (self.operator.call)(self.kind.name, shape, device)
    }
}
