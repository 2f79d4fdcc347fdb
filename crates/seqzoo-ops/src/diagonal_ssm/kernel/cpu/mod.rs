//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "passes fill tensors in parallel")]

mod backward;
mod call;
mod forward;
mod packed;
pub(crate) mod parts;
mod step;

use super::{DiagonalSsmBackend, Inputs, Outputs, Saved, Settings};
use crate::kernel::cpu::channels::blocks::{Blocks, CHUNK};
use crate::kernel::cpu::channels::room::Room;
use crate::kernel::cpu::channels::sums::over_batch;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::tensors::Maybe;
use backward::Backward;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::{DType, Shape};
use call::{Call, Extents};
use forward::Forward;
use packed::packed_size;
use parts::Parts;
use pulp::{Arch, Simd, WithSimd};
use std::marker::PhantomData;
use step::Step;

impl DiagonalSsmBackend for Flex {
    fn diagonal_ssm(inputs: Inputs<Self>, _: Settings) -> Outputs<Self> {
        either(&Call::new(inputs), false).0
    }

    fn diagonal_ssm_forward(inputs: Inputs<Self>, _: Settings) -> (Outputs<Self>, Saved<Self>) {
        let call = Call::new(inputs);
        let (outputs, states) = either(&call, true);
        let states = states.expect("a pass that saves has saved");
        (outputs, Saved { inputs: call.inputs().clone(), states })
    }

    fn diagonal_ssm_vjp(saved: Saved<Self>, upstream: Outputs<Self>, _: Settings) -> Inputs<Self> {
        let call = Call::new(saved.inputs);
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

/// Numbers that a forward pass saves.
fn saved_size<E: Real>(extents: &Extents) -> usize {
    struct Size<'a, E>(&'a Extents, PhantomData<E>);
    impl<E: Real> WithSimd for Size<'_, E> {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            let blocks = Blocks::of::<S, E>(self.0.channels, 1).all.len();
            self.0.batch * blocks * self.0.time.div_ceil(CHUNK) * packed_size::<S, E>(self.0.size)
        }
    }
    Arch::new().dispatch(Size::<E>(extents, PhantomData))
}

/// Room for both parts of a tensor.
fn parts<E: Real + Element>(shape: impl Into<Shape>) -> Parts<Room<E>> {
    let shape = shape.into();
    Parts { re: Room::new(shape.clone()), im: Room::new(shape) }
}

fn outputs<E: Real + Element>(room: &mut Parts<Room<E>>) -> Parts<crate::kernel::cpu::output::Output<'_, E>> {
    Parts { re: room.re.output(), im: room.im.output() }
}

fn forward<E: Real + Element>(call: &Call, save: bool) -> (Outputs<Flex>, Option<FlexTensor>) {
    let sequence = call.sequence::<E>();
    let extents = sequence.extents;
    let mut output = Room::<E>::new(call.inputs().input.shape());
    let mut last = parts::<E>(call.inputs().state_re.shape());
    let mut states = save.then(|| Room::<E>::new([saved_size::<E>(&extents)]));
    if extents.time == 1 && !save {
        Arch::new().dispatch(Step { sequence, output: output.output(), last: outputs(&mut last) });
    } else {
        let states = states.as_mut().map(Room::output);
        Arch::new().dispatch(Forward { sequence, output: output.output(), last: outputs(&mut last), states });
    }
    // SAFETY: a pass fills the outputs of all tokens and the last states of all channels, and one that saves the states
    // before all chunks.
    unsafe {
        let (state_re, state_im) = (last.re.filled(), last.im.filled());
        (Outputs { output: output.filled(), state_re, state_im }, states.map(|states| states.filled()))
    }
}

fn backward<E: Real + Element>(call: &Call, states: &FlexTensor, upstream: Outputs<Flex>) -> Inputs<Flex> {
    let sequence = call.sequence::<E>();
    let Extents { batch, channels, size, .. } = sequence.extents;
    let [states, upstream, last_re, last_im] =
        [states.clone(), upstream.output, upstream.state_re, upstream.state_im]
            .map(|tensor| tensor.to_contiguous());
    let mut input = Room::<E>::new(call.inputs().input.shape());
    let [mut start, mut eigenvalues, mut weights] = [(); 3].map(|()| parts::<E>([batch, channels, size]));
    Arch::new().dispatch(Backward {
        sequence,
        states: numbers(&states),
        upstream: numbers(&upstream),
        upstream_last: Parts { re: numbers(&last_re), im: numbers(&last_im) },
        d_input: input.output(),
        d_start: outputs(&mut start),
        d_eigenvalues: outputs(&mut eigenvalues),
        d_weights: outputs(&mut weights),
    });
    let summed = |room: FlexTensor| over_batch::<E>(&room, [channels, size]);
    // SAFETY: a pass fills the gradients of all tokens, and of all channels of every sequence.
    unsafe {
        Inputs {
            input: input.filled(),
            eigenvalues_re: summed(eigenvalues.re.filled()),
            eigenvalues_im: summed(eigenvalues.im.filled()),
            weights_re: summed(weights.re.filled()),
            weights_im: summed(weights.im.filled()),
            state_re: start.re.filled(),
            state_im: start.im.filled(),
            resets: Maybe::Absent,
        }
    }
}
