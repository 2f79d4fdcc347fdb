//! A call's tensors as slices.

use super::super::{Inputs, Settings};
use crate::kernel::cpu::channels::blocks::CHUNK;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::tensors::Maybe;
use crate::segments::{Span, spans};
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

    /// Where the channels of a token of a sequence begin.
    pub fn token(&self, span: Span, t: usize) -> usize {
        (span.first + t) * self.channels
    }

    /// Where what a token shares with a group begins.
    pub fn shared(&self, span: Span, t: usize, group: usize) -> usize {
        ((span.first + t) * self.groups + group) * self.size
    }
}

/// Contiguous tensors, and the sequences in them.
pub(super) struct Call {
    inputs: Inputs<Flex>,
    settings: Settings,
    spans: Vec<Span>,
    /// For every sequence, the chunks of those before it.
    chunks: Vec<usize>,
    all_chunks: usize,
}

impl Call {
    pub fn new(inputs: Inputs<Flex>, settings: Settings) -> Self {
        let whole = |tensor: FlexTensor| tensor.to_contiguous();
        let maybe = |tensor: Maybe<Flex>| Maybe::new(tensor.into_option().map(whole));
        let Inputs { input, delta, a, b, c, state, delta_bias, d, z, resets } = inputs;
        let inputs = Inputs::<Flex> {
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
        let [batch, time, _] = inputs.input.shape().dims();
        let spans = spans(batch, time, settings.segments.as_ref());
        let mut all_chunks = 0;
        let before = |span: &Span| {
            let before = all_chunks;
            all_chunks += span.length.div_ceil(CHUNK);
            before
        };
        let chunks = spans.iter().map(before).collect();
        Self { inputs, settings, spans, chunks, all_chunks }
    }

    pub fn inputs(&self) -> &Inputs<Flex> {
        &self.inputs
    }

    /// Whether every sequence is a row.
    pub fn has_rows(&self) -> bool {
        self.settings.segments.is_none()
    }

    /// The number of sequences.
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// The chunks of all sequences together.
    pub fn chunks(&self) -> usize {
        self.all_chunks
    }

    pub fn dtype(&self) -> DType {
        self.inputs.input.dtype()
    }

    pub fn sequence<E: Real + Element>(&self) -> Sequence<'_, E> {
        fn maybe<E: Real + Element>(tensor: &Maybe<Flex>) -> Option<&[E]> {
            match tensor {
                Maybe::Absent => None,
                Maybe::Present(tensor) => Some(numbers(tensor)),
            }
        }
        let Self { inputs, settings, spans, chunks, .. } = self;
        let [batch, time, channels] = inputs.input.shape().dims();
        let [_, _, groups, size] = inputs.b.shape().dims();
        Sequence {
            extents: Extents { batch, time, channels, groups, size },
            spans,
            chunks,
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
            a_log: settings.a_log,
            softplus: settings.softplus,
            limits: settings.limits.map(|(least, most)| (E::from_f64(least), E::from_f64(most))),
        }
    }
}

/// What both passes read.
#[derive(Clone, Copy)]
pub(super) struct Sequence<'a, E> {
    pub extents: Extents,
    pub spans: &'a [Span],
    /// For every sequence, the chunks of those before it.
    pub chunks: &'a [usize],
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
    /// Whether the state is cleared before a token of a sequence.
    #[inline(always)]
    pub fn clears(&self, span: Span, t: usize) -> bool {
        self.resets.is_some_and(|resets| resets[span.first + t] != E::default())
    }

    /// The `count` numbers from `from` on that a token shares with a group.
    #[inline(always)]
    pub fn of_token(&self, all: &'a [E], at: usize, from: usize, count: usize) -> &'a [E] {
        &all[at + from..][..count]
    }
}
