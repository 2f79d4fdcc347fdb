//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "passes fill tensors in parallel")]

mod backward;
mod forward;
mod window;

use super::{CausalConvBackend, Inputs, Outputs, Saved, Settings};
use crate::kernel::cpu::channels::room::Room;
use crate::kernel::cpu::channels::sums::over_batch;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::tensors::Maybe;
use crate::segments::{Span, spans};
use backward::Backward;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use forward::Forward;
use pulp::Arch;
use window::{Extents, Sequences};

impl CausalConvBackend for Flex {
    fn causal_conv(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        let inputs = contiguous(inputs);
        match inputs.input.dtype() {
            DType::F64 => forward::<f64>(&inputs, &settings),
            _ => forward::<f32>(&inputs, &settings),
        }
    }

    fn causal_conv_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        let inputs = contiguous(inputs);
        (Self::causal_conv(inputs.clone(), settings), inputs)
    }

    fn causal_conv_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        let inputs = contiguous(saved);
        match inputs.input.dtype() {
            DType::F64 => backward::<f64>(&inputs, upstream, &settings),
            _ => backward::<f32>(&inputs, upstream, &settings),
        }
    }
}

fn contiguous(inputs: Inputs<Flex>) -> Inputs<Flex> {
    let Inputs { input, weight, state, bias, resets } = inputs;
    let [input, weight, state] = [input, weight, state].map(|tensor| tensor.to_contiguous());
    let [bias, resets] = [bias, resets]
        .map(|tensor| Maybe::new(tensor.into_option().map(|tensor: FlexTensor| tensor.to_contiguous())));
    Inputs { input, weight, state, bias, resets }
}

/// The sequences of a call.
fn all_spans(inputs: &Inputs<Flex>, settings: &Settings) -> Vec<Span> {
    let [batch, time, _] = inputs.input.shape().dims();
    spans(batch, time, settings.segments.as_ref())
}

fn sequences<'a, E: Real + Element>(
    inputs: &'a Inputs<Flex>,
    settings: &Settings,
    spans: &'a [Span],
) -> Sequences<'a, E> {
    fn maybe<E: Real + Element>(tensor: &Maybe<Flex>) -> Option<&[E]> {
        match tensor {
            Maybe::Absent => None,
            Maybe::Present(tensor) => Some(numbers(tensor)),
        }
    }
    let [batch, time, channels] = inputs.input.shape().dims();
    let [_, width] = inputs.weight.shape().dims();
    Sequences {
        spans,
        extents: Extents { tokens: batch * time, channels, width },
        input: numbers(&inputs.input),
        weight: numbers(&inputs.weight),
        start: numbers(&inputs.state),
        bias: maybe(&inputs.bias),
        resets: maybe(&inputs.resets),
        silu: settings.silu,
    }
}

fn forward<E: Real + Element>(inputs: &Inputs<Flex>, settings: &Settings) -> Outputs<Flex> {
    let spans = all_spans(inputs, settings);
    let sequences = sequences::<E>(inputs, settings, &spans);
    let mut output = Room::<E>::new(inputs.input.shape());
    let mut last = Room::<E>::new(inputs.state.shape());
    Arch::new().dispatch(Forward { sequences, output: output.output(), last: last.output() });
    // SAFETY: a pass fills the outputs of all tokens and all inputs that are kept.
    unsafe { Outputs { output: output.filled(), state: last.filled() } }
}

fn backward<E: Real + Element>(
    inputs: &Inputs<Flex>,
    upstream: Outputs<Flex>,
    settings: &Settings,
) -> Inputs<Flex> {
    let spans = all_spans(inputs, settings);
    let sequences = sequences::<E>(inputs, settings, &spans);
    let Extents { channels, width, .. } = sequences.extents;
    let [upstream, upstream_last] = [upstream.output, upstream.state].map(|tensor| tensor.to_contiguous());
    let mut input = Room::<E>::new(inputs.input.shape());
    let mut start = Room::<E>::new(inputs.state.shape());
    let mut weight = Room::<E>::new([spans.len(), channels, width]);
    let mut bias = sequences.bias.map(|_| Room::<E>::new([spans.len(), channels]));
    Arch::new().dispatch(Backward {
        sequences,
        upstream: numbers(&upstream),
        upstream_last: numbers(&upstream_last),
        d_input: input.output(),
        d_start: start.output(),
        d_weight: weight.output(),
        d_bias: bias.as_mut().map(Room::output),
    });
    // SAFETY: a pass fills the gradients of all inputs, and of all channels of every sequence.
    unsafe {
        Inputs {
            input: input.filled(),
            weight: over_batch::<E>(&weight.filled(), [channels, width]),
            state: start.filled(),
            bias: Maybe::new(bias.map(|bias| over_batch::<E>(&bias.filled(), [channels]))),
            resets: Maybe::Absent,
        }
    }
}
