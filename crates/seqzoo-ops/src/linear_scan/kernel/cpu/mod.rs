//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "passes fill tensors in parallel")]

mod backward;
mod forward;
mod numbers;
mod pass;
mod room;
mod rows;
#[cfg(test)]
mod tests;

use super::{Inputs, LinearScanBackend, Outputs, Saved, Settings};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::tensors::Maybe;
use crate::segments::spans;
use backward::Backward;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use forward::Forward;
use numbers::{ComplexNumbers, Numbers, RealNumbers};
use pass::{Extents, Pass};
use pulp::Arch;
use room::Room;
use rows::{Rows, Source};
use std::marker::PhantomData;

impl LinearScanBackend for Flex {
    fn linear_scan(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        let Inputs { input, factor, state, input_im, factor_im, state_im, resets } = inputs;
        let real = [input, factor, state];
        match all_present([input_im, factor_im, state_im]) {
            None => {
                let [[states], [last]] =
                    forward::<RealNumbers, 1>(real.map(|part| [part]), resets, &settings);
                Outputs { states, last, states_im: Maybe::Absent, last_im: Maybe::Absent }
            }
            Some(imaginary) => {
                let [[states, states_im], [last, last_im]] =
                    forward::<ComplexNumbers, 2>(paired(real, imaginary), resets, &settings);
                let [states_im, last_im] = [states_im, last_im].map(Maybe::Present);
                Outputs { states, last, states_im, last_im }
            }
        }
    }

    fn linear_scan_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        let Inputs { factor, state, factor_im, state_im, resets, .. } = inputs.clone();
        let outputs = Self::linear_scan(inputs, settings);
        let (states, states_im) = (outputs.states.clone(), outputs.states_im.clone());
        (outputs, Saved { factor, state, states, factor_im, state_im, states_im, resets })
    }

    fn linear_scan_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        let Saved { factor, state, states, factor_im, state_im, states_im, resets } = saved;
        let real = [factor, state, states, upstream.states, upstream.last];
        let imaginary = [factor_im, state_im, states_im, upstream.states_im, upstream.last_im];
        match all_present(imaginary) {
            None => {
                let [[input], [factor], [state]] =
                    backward::<RealNumbers, 1>(real.map(|part| [part]), resets, &settings);
                let [input_im, factor_im, state_im, resets] = [const { Maybe::Absent }; 4];
                Inputs { input, factor, state, input_im, factor_im, state_im, resets }
            }
            Some(imaginary) => {
                let [[input, input_im], [factor, factor_im], [state, state_im]] =
                    backward::<ComplexNumbers, 2>(paired(real, imaginary), resets, &settings);
                let [input_im, factor_im, state_im] = [input_im, factor_im, state_im].map(Maybe::Present);
                Inputs { input, factor, state, input_im, factor_im, state_im, resets: Maybe::Absent }
            }
        }
    }
}

/// The tensors, or nothing if none is there.
fn all_present<const N: usize>(tensors: [Maybe<Flex>; N]) -> Option<[FlexTensor; N]> {
    let present: Vec<_> = tensors.into_iter().filter_map(Maybe::into_option).collect();
    present.try_into().ok()
}

/// Real parts with their imaginary ones.
fn paired<const N: usize>(real: [FlexTensor; N], imaginary: [FlexTensor; N]) -> [[FlexTensor; 2]; N] {
    let mut imaginary = imaginary.into_iter();
    real.map(|re| [re, imaginary.next().expect("there are as many imaginary parts as real ones")])
}

/// All states and the last, from input, factor and state.
fn forward<A: Numbers<P>, const P: usize>(
    tensors: [[FlexTensor; P]; 3],
    resets: Maybe<Flex>,
    settings: &Settings,
) -> [[FlexTensor; P]; 2] {
    let (tensors, resets) =
        (tensors.map(contiguous), resets.into_option().map(|resets| resets.to_contiguous()));
    match tensors[0][0].dtype() {
        DType::F64 => forward_in::<f64, A, P>(tensors, resets.as_ref(), settings),
        _ => forward_in::<f32, A, P>(tensors, resets.as_ref(), settings),
    }
}

fn forward_in<E: Real + Element, A: Numbers<P>, const P: usize>(
    [input, factor, state]: [[FlexTensor; P]; 3],
    resets: Option<&FlexTensor>,
    settings: &Settings,
) -> [[FlexTensor; P]; 2] {
    let [batch, time, channels] = input[0].shape().dims();
    let spans = spans(batch, time, settings.segments.as_ref());
    let (mut states, input) = Room::<E, P>::over(input);
    let mut last = Room::<E, P>::new([spans.len(), 1, channels]);
    Arch::new().dispatch(Pass::<E, _>::new(Forward {
        extents: Extents { spans: &spans, tokens: batch * time, channels },
        input: source(&input),
        factor: rows(&factor),
        start: rows(&state),
        resets: resets.map(numbers),
        states: states.rows(),
        last: last.rows(),
        numbers: PhantomData::<A>,
    }));
    // SAFETY: a pass fills the states of all tokens and the last of all sequences.
    unsafe { [states.filled(), last.filled()] }
}

/// The gradients of input, factor and state, from factor, state, states and the gradients of the states and the last.
fn backward<A: Numbers<P>, const P: usize>(
    tensors: [[FlexTensor; P]; 5],
    resets: Maybe<Flex>,
    settings: &Settings,
) -> [[FlexTensor; P]; 3] {
    let (tensors, resets) =
        (tensors.map(contiguous), resets.into_option().map(|resets| resets.to_contiguous()));
    match tensors[0][0].dtype() {
        DType::F64 => backward_in::<f64, A, P>(tensors, resets.as_ref(), settings),
        _ => backward_in::<f32, A, P>(tensors, resets.as_ref(), settings),
    }
}

fn backward_in<E: Real + Element, A: Numbers<P>, const P: usize>(
    [factor, state, states, upstream, upstream_last]: [[FlexTensor; P]; 5],
    resets: Option<&FlexTensor>,
    settings: &Settings,
) -> [[FlexTensor; P]; 3] {
    let [batch, time, channels] = states[0].shape().dims();
    let spans = spans(batch, time, settings.segments.as_ref());
    let shared = rows::<E, P>(&factor).stride == 0;
    let (mut d_input, upstream) = Room::<E, P>::over(upstream);
    let (mut d_factor, states) = match shared {
        true => (Room::new([spans.len(), 1, channels]), Some(states)),
        false => Room::over(states),
    };
    let mut d_state = Room::<E, P>::new([spans.len(), 1, channels]);
    Arch::new().dispatch(Pass::<E, _>::new(Backward {
        extents: Extents { spans: &spans, tokens: batch * time, channels },
        factor: rows(&factor),
        start: rows(&state),
        states: source(&states),
        resets: resets.map(numbers),
        upstream: source(&upstream),
        upstream_last: rows(&upstream_last),
        d_input: d_input.rows(),
        d_factor: d_factor.rows(),
        d_start: d_state.rows(),
        numbers: PhantomData::<A>,
    }));
    // SAFETY: a pass fills the gradients of all tokens and of the initial states of all sequences.
    unsafe {
        let d_factor = if shared { d_factor.summed() } else { d_factor.filled() };
        [d_input.filled(), d_factor, d_state.filled()]
    }
}

fn contiguous<const P: usize>(parts: [FlexTensor; P]) -> [FlexTensor; P] {
    parts.map(|part| part.to_contiguous())
}

/// The rows of a contiguous tensor `[b, t, d]`. One of `[1, 1, d]` is every row, as a sequence of one token has one.
fn rows<E: Real + Element, const P: usize>(parts: &[FlexTensor; P]) -> Rows<'_, E, P> {
    let [batch, time, channels] = parts[0].shape().dims();
    let stride = if batch * time == 1 { 0 } else { channels };
    Rows { parts: parts.each_ref().map(numbers), stride }
}

/// The rows of a tensor, which is absent if a [`Room`] is over it.
fn source<E: Real + Element, const P: usize>(parts: &Option<[FlexTensor; P]>) -> Source<'_, E, P> {
    parts.as_ref().map_or(Source::InPlace, |parts| Source::Apart(rows(parts)))
}
