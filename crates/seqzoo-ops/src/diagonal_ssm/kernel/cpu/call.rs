//! A call's tensors as slices.

use super::super::Inputs;
use super::parts::Parts;
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
    pub size: usize,
}

impl Extents {
    /// Numbers of states that a pass moves.
    pub fn steps(&self) -> usize {
        2 * self.batch * self.time * self.channels * self.size
    }

    /// Where the channels of a token begin.
    pub fn token(&self, row: usize, t: usize) -> usize {
        (row * self.time + t) * self.channels
    }
}

/// Contiguous tensors.
pub(super) struct Call(Inputs<Flex>);

impl Call {
    pub fn new(inputs: Inputs<Flex>) -> Self {
        let whole = |tensor: FlexTensor| tensor.to_contiguous();
        let resets = Maybe::new(inputs.resets.into_option().map(whole));
        Self(Inputs {
            input: whole(inputs.input),
            eigenvalues_re: whole(inputs.eigenvalues_re),
            eigenvalues_im: whole(inputs.eigenvalues_im),
            weights_re: whole(inputs.weights_re),
            weights_im: whole(inputs.weights_im),
            state_re: whole(inputs.state_re),
            state_im: whole(inputs.state_im),
            resets,
        })
    }

    pub fn inputs(&self) -> &Inputs<Flex> {
        &self.0
    }

    pub fn dtype(&self) -> DType {
        self.0.input.dtype()
    }

    pub fn sequence<E: Real + Element>(&self) -> Sequence<'_, E> {
        let inputs = &self.0;
        let [batch, time, channels] = inputs.input.shape().dims();
        let [_, size] = inputs.weights_re.shape().dims();
        Sequence {
            extents: Extents { batch, time, channels, size },
            input: numbers(&inputs.input),
            eigenvalues: Parts { re: numbers(&inputs.eigenvalues_re), im: numbers(&inputs.eigenvalues_im) },
            weights: Parts { re: numbers(&inputs.weights_re), im: numbers(&inputs.weights_im) },
            start: Parts { re: numbers(&inputs.state_re), im: numbers(&inputs.state_im) },
            resets: match &inputs.resets {
                Maybe::Absent => None,
                Maybe::Present(resets) => Some(numbers(resets)),
            },
        }
    }
}

/// What both passes read.
#[derive(Clone, Copy)]
pub(super) struct Sequence<'a, E> {
    pub extents: Extents,
    pub input: &'a [E],
    pub eigenvalues: Parts<&'a [E]>,
    pub weights: Parts<&'a [E]>,
    pub start: Parts<&'a [E]>,
    pub resets: Option<&'a [E]>,
}

impl<E: Real> Sequence<'_, E> {
    /// Whether the state is cleared before a token.
    #[inline(always)]
    pub fn clears(&self, row: usize, t: usize) -> bool {
        self.resets.is_some_and(|resets| resets[row * self.extents.time + t] != E::default())
    }
}
