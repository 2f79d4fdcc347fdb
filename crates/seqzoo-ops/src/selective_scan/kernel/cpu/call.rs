//! A call's tensors as slices.

use super::super::{Inputs, Settings};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::tensors::Maybe;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;

/// The sizes of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub batch: usize,
    pub time: usize,
    pub channels: usize,
    pub groups: usize,
    pub size: usize,
}

impl Extents {
    /// Numbers of states that a pass moves.
    pub fn steps(&self) -> usize {
        self.batch * self.time * self.channels * self.size
    }

    /// Where the channels of a token begin.
    pub fn token(&self, row: usize, t: usize) -> usize {
        (row * self.time + t) * self.channels
    }

    /// Where what a token shares with a group begins.
    pub fn shared(&self, row: usize, t: usize, group: usize) -> usize {
        ((row * self.time + t) * self.groups + group) * self.size
    }
}

/// Contiguous tensors.
pub(super) struct Call(Inputs<Flex>, Settings);

impl Call {
    pub fn new(inputs: Inputs<Flex>, settings: Settings) -> Self {
        let whole = |tensor: FlexTensor| tensor.to_contiguous();
        let maybe = |tensor: Maybe<Flex>| Maybe::new(tensor.into_option().map(whole));
        let Inputs { input, delta, a, b, c, state, delta_bias, d, z, resets } = inputs;
        let inputs = Inputs {
            input: whole(input),
            delta: whole(delta),
            a: whole(a),
            b: whole(b),
            c: whole(c),
            state: whole(state),
            delta_bias: maybe(delta_bias),
            d: maybe(d),
            z: maybe(z),
            resets: maybe(resets),
        };
        Self(inputs, settings)
    }

    pub fn inputs(&self) -> &Inputs<Flex> {
        &self.0
    }

    pub fn dtype(&self) -> DType {
        self.0.input.dtype()
    }

    pub fn sequence<E: Real + Element>(&self) -> Sequence<'_, E> {
        fn maybe<E: Real + Element>(tensor: &Maybe<Flex>) -> Option<&[E]> {
            match tensor {
                Maybe::Absent => None,
                Maybe::Present(tensor) => Some(numbers(tensor)),
            }
        }
        let inputs = &self.0;
        let [batch, time, channels] = inputs.input.shape().dims();
        let [_, _, groups, size] = inputs.b.shape().dims();
        Sequence {
            extents: Extents { batch, time, channels, groups, size },
            input: numbers(&inputs.input),
            delta: numbers(&inputs.delta),
            a: numbers(&inputs.a),
            b: numbers(&inputs.b),
            c: numbers(&inputs.c),
            start: numbers(&inputs.state),
            bias: maybe(&inputs.delta_bias),
            d: maybe(&inputs.d),
            z: maybe(&inputs.z),
            resets: maybe(&inputs.resets),
            a_log: self.1.a_log,
            softplus: self.1.softplus,
            limits: self.1.limits.map(|(least, most)| (E::from_f64(least), E::from_f64(most))),
        }
    }
}

/// What both passes read.
#[derive(Clone, Copy)]
pub(super) struct Sequence<'a, E> {
    pub extents: Extents,
    pub input: &'a [E],
    pub delta: &'a [E],
    pub a: &'a [E],
    pub b: &'a [E],
    pub c: &'a [E],
    pub start: &'a [E],
    pub bias: Option<&'a [E]>,
    pub d: Option<&'a [E]>,
    pub z: Option<&'a [E]>,
    pub resets: Option<&'a [E]>,
    pub a_log: bool,
    pub softplus: bool,
    pub limits: Option<(E, E)>,
}

impl<'a, E: Real> Sequence<'a, E> {
    /// Whether the state is cleared before a token.
    #[inline(always)]
    pub fn clears(&self, row: usize, t: usize) -> bool {
        self.resets.is_some_and(|resets| resets[row * self.extents.time + t] != E::default())
    }

    /// The `count` numbers from `from` on that a token shares with a group.
    #[inline(always)]
    pub fn of_token(&self, all: &'a [E], at: usize, from: usize, count: usize) -> &'a [E] {
        &all[at + from..][..count]
    }
}
