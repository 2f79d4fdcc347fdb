//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "passes fill tensors in parallel")]

mod backward;
mod forward;
mod gates;
mod layer;
mod layout;
mod plan;
mod read_back;
mod rows;
mod square;
#[cfg(test)]
mod tests;

pub(crate) use plan::BLOCK;
pub(crate) use square::STRIP;

use super::tokens::{Inputs, NeuralMemoryBackend, Saved, Settings};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::relay::{Relay, relay};
use crate::kernel::tensors::Maybe;
use crate::matrix_memory::kernel::Outputs;
use crate::matrix_memory::kernel::cpu::division::cores;
use crate::matrix_memory::kernel::cpu::extents::Extents;
use crate::matrix_memory::kernel::cpu::inputs::{Room, numbers, tokens};
use backward::Backward;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use forward::{Forward, Save};
use gates::Gates;
use layout::Layout;
use plan::Plan;
use pulp::{Arch, Simd, WithSimd};
use std::marker::PhantomData;

impl NeuralMemoryBackend for Flex {
    fn neural_memory(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        either(inputs, settings, false).0
    }

    fn neural_memory_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        let Inputs { query, key, forget, momentum, step, memory, position, resets, .. } = inputs.clone();
        let (outputs, saved) = either(inputs, settings, true);
        let [states, tokens] = saved.expect("a pass that saves has saved");
        let saved = Saved { query, key, forget, momentum, step, memory, position, resets, states, tokens };
        (outputs, saved)
    }

    fn neural_memory_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        match saved.query.dtype() {
            DType::F64 => backward::<f64>(saved, upstream, settings),
            _ => backward::<f32>(saved, upstream, settings),
        }
    }
}

/// The outputs and, if asked for, the last two tensors of [`Saved`].
fn either(inputs: Inputs<Flex>, settings: Settings, save: bool) -> (Outputs<Flex>, Option<[FlexTensor; 2]>) {
    match inputs.query.dtype() {
        DType::F64 => forward::<f64>(inputs, settings, save),
        _ => forward::<f32>(inputs, settings, save),
    }
}

/// The extents of a call, in which all matrices of a memory count as one.
fn extents(value: &FlexTensor, settings: &Settings) -> Extents {
    let [batch, time, heads, _] = value.shape().dims();
    Extents { batch, time, heads, key: settings.layers.numbers(), value: 1 }
}

fn plan<E: Real + Element>(
    extents: &Extents,
    position: Maybe<Flex>,
    resets: Maybe<Flex>,
    chunk: usize,
) -> Plan {
    let [position, resets] = [position, resets].map(Maybe::into_option);
    let position = position.expect("a call says where it begins").to_contiguous();
    let resets = resets.map(|resets| resets.to_contiguous());
    let places: Vec<usize> = numbers::<E>(&position).iter().map(|place| place.into_f64() as usize).collect();
    Plan::new([extents.heads, extents.time], chunk, &places, resets.as_ref().map(numbers::<E>))
}

fn forward<E: Real + Element>(
    inputs: Inputs<Flex>,
    settings: Settings,
    save: bool,
) -> (Outputs<Flex>, Option<[FlexTensor; 2]>) {
    let Inputs { query, key, value, forget, momentum, step, memory, initial, position, resets } = inputs;
    let [query, key, value, memory, initial] =
        [query, key, value, memory, initial].map(|tensor| tensor.to_contiguous());
    let [forget, momentum, step] = [forget, momentum, step].map(|tensor| tensor.to_contiguous());
    let (extents, heads) = (extents(&value, &settings), value.shape()[2]);
    let plan = plan::<E>(&extents, position, resets, settings.chunk);
    let layout = layout_here::<E>(&settings);
    let (mut output, mut last) = (Room::<E>::like(&value, heads), Room::<E>::like(&memory, heads));
    let mut saved = save.then(|| {
        let tokens = extents.all_heads() * extents.time * layout.saved_width();
        [Room::flat(plan.all_blocks() * layout.slot()), Room::flat(tokens)]
    });
    Arch::new().dispatch(Cores {
        work: Forward {
            layout,
            plan: &plan,
            query: tokens(&query, heads),
            key: tokens(&key, heads),
            value: tokens(&value, heads),
            gates: Gates {
                forget: tokens(&forget, heads),
                momentum: tokens(&momentum, heads),
                step: tokens(&step, heads),
            },
            memory: numbers(&memory),
            initial: numbers(&initial),
            output: output.tokens(),
            last: last.output(),
            save: saved
                .as_mut()
                .map(|[states, tokens]| Save { states: states.output(), tokens: tokens.output() }),
        },
        cores: cores(&extents),
        element: PhantomData::<E>,
    });
    // SAFETY: a pass fills the outputs of all tokens and the final memories of all heads, and what it saves of all blocks.
    unsafe {
        let saved = saved.map(|rooms| rooms.map(|room| room.filled()));
        (Outputs { output: output.filled(), memory: last.filled() }, saved)
    }
}

fn backward<E: Real + Element>(
    saved: Saved<Flex>,
    upstream: Outputs<Flex>,
    settings: Settings,
) -> Inputs<Flex> {
    let Saved { query, key, forget, momentum, step, memory, position, resets, states, tokens: hidden } =
        saved;
    let [query, key, forget, momentum, step] =
        [query, key, forget, momentum, step].map(|tensor| tensor.to_contiguous());
    let [memory, states, hidden] = [memory, states, hidden].map(|tensor| tensor.to_contiguous());
    let [upstream, upstream_memory] = [upstream.output, upstream.memory].map(|tensor| tensor.to_contiguous());
    let (extents, heads) = (extents(&upstream, &settings), upstream.shape()[2]);
    let plan = plan::<E>(&extents, position, resets, settings.chunk);
    let [mut d_query, mut d_key, mut d_value] =
        [&query, &key, &upstream].map(|tensor| Room::<E>::like(tensor, heads));
    let [mut d_forget, mut d_momentum, mut d_step] =
        [&forget, &momentum, &step].map(|tensor| Room::<E>::like(tensor, heads));
    let mut d_memory = Room::<E>::like(&memory, heads);
    let [batch, _, _, three] = memory.shape().dims();
    let mut d_initial = Room::<E>::zeros([batch, heads, 1, three / 3], heads);
    Arch::new().dispatch(Cores {
        work: Backward {
            layout: layout_here::<E>(&settings),
            plan: &plan,
            query: tokens(&query, heads),
            key: tokens(&key, heads),
            gates: Gates {
                forget: tokens(&forget, heads),
                momentum: tokens(&momentum, heads),
                step: tokens(&step, heads),
            },
            memory: numbers(&memory),
            states: numbers(&states),
            tokens: numbers(&hidden),
            upstream: tokens(&upstream, heads),
            upstream_memory: numbers(&upstream_memory),
            d_query: d_query.tokens(),
            d_key: d_key.tokens(),
            d_value: d_value.tokens(),
            d_gates: [d_forget.tokens(), d_momentum.tokens(), d_step.tokens()],
            d_memory: d_memory.output(),
            d_initial: d_initial.output(),
        },
        cores: cores(&extents),
        element: PhantomData::<E>,
    });
    // SAFETY: a pass fills the gradients of all tokens and of the memories of all heads; those of the initial weights
    // are made of zeros.
    unsafe {
        Inputs {
            query: d_query.filled(),
            key: d_key.filled(),
            value: d_value.filled(),
            forget: d_forget.filled(),
            momentum: d_momentum.filled(),
            step: d_step.filled(),
            memory: d_memory.filled(),
            initial: d_initial.filled(),
            position: Maybe::Absent,
            resets: Maybe::Absent,
        }
    }
}

/// A pass, on up to so many cores.
struct Cores<W, E> {
    work: W,
    cores: usize,
    element: PhantomData<E>,
}

impl<E: Real, W: Relay<E>> WithSimd for Cores<W, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        relay(simd, &self.work, self.cores);
    }
}

/// The layout of a memory in the buffers of this processor.
fn layout_here<E: Real>(settings: &Settings) -> Layout {
    struct Here<'a, E>(&'a Settings, PhantomData<E>);
    impl<E: Real> WithSimd for Here<'_, E> {
        type Output = Layout;
        fn with_simd<S: Simd>(self, _: S) -> Layout {
            Layout::new::<S, E>(&self.0.layers)
        }
    }
    Arch::new().dispatch(Here::<E>(settings, PhantomData))
}
