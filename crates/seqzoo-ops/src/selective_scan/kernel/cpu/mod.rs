//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "passes fill tensors in parallel")]

mod backward;
mod call;
mod forward;
mod shared;
mod step;
mod steps;

use super::{Inputs, Outputs, Saved, SelectiveScanBackend, Settings};
use crate::kernel::cpu::channels::blocks::Blocks;
use crate::kernel::cpu::channels::room::Room;
use crate::kernel::cpu::channels::sums::over_batch;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::tensors::Maybe;
use backward::Backward;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use call::{Call, Extents};
use forward::{Forward, saved_size};
use pulp::{Arch, Simd, WithSimd};
use std::marker::PhantomData;
use step::Step;

impl SelectiveScanBackend for Flex {
    fn selective_scan(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        either(&Call::new(inputs, settings), false).0
    }

    fn selective_scan_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        let call = Call::new(inputs, settings);
        let (outputs, states) = either(&call, true);
        let states = states.expect("a pass that saves has saved");
        (outputs, Saved { inputs: call.inputs().clone(), states })
    }

    fn selective_scan_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        let call = Call::new(saved.inputs, settings);
        match call.dtype() {
            DType::F64 => backward::<f64>(&call, &saved.states, upstream),
            _ => backward::<f32>(&call, &saved.states, upstream),
        }
    }
}

fn either(call: &Call, save: bool) -> (Outputs<Flex>, Option<FlexTensor>) {
    match call.dtype() {
        DType::F64 => forward::<f64>(call, save),
        _ => forward::<f32>(call, save),
    }
}

/// How the channels are divided here, and the numbers that a forward pass saves of one chunk.
fn division<E: Real>(extents: &Extents) -> (Blocks, usize) {
    struct Division<'a, E>(&'a Extents, PhantomData<E>);
    impl<E: Real> WithSimd for Division<'_, E> {
        type Output = (Blocks, usize);
        fn with_simd<S: Simd>(self, _: S) -> (Blocks, usize) {
            let blocks = Blocks::of::<S, E>(self.0.channels, self.0.groups);
            let saved = saved_size::<S, E>(&blocks, self.0.size);
            (blocks, saved)
        }
    }
    Arch::new().dispatch(Division::<E>(extents, PhantomData))
}

fn forward<E: Real + Element>(call: &Call, save: bool) -> (Outputs<Flex>, Option<FlexTensor>) {
    let sequence = call.sequence::<E>();
    let extents = sequence.extents;
    let mut output = Room::<E>::new(call.inputs().input.shape());
    let mut last = Room::<E>::new(call.inputs().state.shape());
    let mut states = save.then(|| Room::<E>::new([call.chunks() * division::<E>(&extents).1]));
    if extents.time == 1 && call.has_rows() && !save {
        Arch::new().dispatch(Step { sequence, output: output.output(), last: last.output() });
    } else {
        let states = states.as_mut().map(Room::output);
        Arch::new().dispatch(Forward { sequence, output: output.output(), last: last.output(), states });
    }
    // SAFETY: a pass fills the outputs of all tokens and the last states of all channels, and one that saves the states
    // before all chunks.
    unsafe {
        (Outputs { output: output.filled(), state: last.filled() }, states.map(|states| states.filled()))
    }
}

fn backward<E: Real + Element>(call: &Call, states: &FlexTensor, upstream: Outputs<Flex>) -> Inputs<Flex> {
    let sequence = call.sequence::<E>();
    let (inputs, extents, count) = (call.inputs(), sequence.extents, call.count());
    let Extents { batch, time, channels, size, .. } = extents;
    let (blocks, _) = division::<E>(&extents);
    let [states, upstream, upstream_last] =
        [states.clone(), upstream.output, upstream.state].map(|tensor| tensor.to_contiguous());
    let mut input = Room::<E>::new(inputs.input.shape());
    let mut delta = Room::<E>::new(inputs.delta.shape());
    let mut z = sequence.z.map(|_| Room::<E>::new(inputs.input.shape()));
    let mut start = Room::<E>::new(inputs.state.shape());
    let mut a = Room::<E>::new([count, channels, size]);
    let mut d = sequence.d.map(|_| Room::<E>::new([count, channels]));
    let mut bias = sequence.bias.map(|_| Room::<E>::new([count, channels]));
    let mut b = Room::<E>::new([batch, blocks.tasks.len(), time, size]);
    let mut c = Room::<E>::new([batch, blocks.tasks.len(), time, size]);
    Arch::new().dispatch(Backward {
        sequence,
        states: numbers(&states),
        upstream: numbers(&upstream),
        upstream_last: numbers(&upstream_last),
        d_input: input.output(),
        d_delta: delta.output(),
        d_z: z.as_mut().map(Room::output),
        d_start: start.output(),
        d_a: a.output(),
        d_d: d.as_mut().map(Room::output),
        d_bias: bias.as_mut().map(Room::output),
        d_b: b.output(),
        d_c: c.output(),
    });
    // SAFETY: a pass fills the gradients of all tokens, of all channels of every sequence, and of every task.
    unsafe {
        Inputs {
            input: input.filled(),
            delta: delta.filled(),
            a: over_batch::<E>(&a.filled(), [channels, size]),
            b: shared::over_tasks::<E>(&b.filled(), &blocks, &extents),
            c: shared::over_tasks::<E>(&c.filled(), &blocks, &extents),
            state: start.filled(),
            delta_bias: Maybe::new(bias.map(|bias| over_batch::<E>(&bias.filled(), [channels]))),
            d: Maybe::new(d.map(|d| over_batch::<E>(&d.filled(), [channels]))),
            z: Maybe::new(z.map(|z| z.filled())),
            resets: Maybe::Absent,
        }
    }
}
