//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "passes fill tensors in parallel")]

mod backward;
mod forward;
mod step;
#[cfg(test)]
mod tests;

use super::{Inputs, LinearAttentionBackend, Outputs, Saved, Settings};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::tensors::Maybe;
use crate::matrix_memory::kernel::cpu::backward_walk::BackwardWalk;
use crate::matrix_memory::kernel::cpu::chunks::CHUNK;
use crate::matrix_memory::kernel::cpu::division::Division;
use crate::matrix_memory::kernel::cpu::forward_walk::ForwardWalk;
use crate::matrix_memory::kernel::cpu::inputs::{Inputs as Call, Room, numbers, slot_size, tokens};
use crate::matrix_memory::kernel::cpu::pass::{Carry, Pass};
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex};
use burn::tensor::DType;
use pulp::Arch;
use step::Step;

impl LinearAttentionBackend for Flex {
    fn linear_attention(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        either(inputs, settings, false).0
    }

    fn linear_attention_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        let Inputs { query, key, value, decay, resets, .. } = inputs.clone();
        let (outputs, saved) = either(inputs, settings, true);
        let [states, products] = saved.expect("a pass that saves has saved");
        (outputs, Saved { query, key, value, decay, resets, states, products })
    }

    fn linear_attention_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        let Saved { query, key, value, decay, resets, states, products } = saved;
        let call = Call::new([query, key, value], decay, resets, settings.scale).with(settings.segments);
        let rest = [states, products, upstream.output, upstream.memory];
        match call.dtype() {
            DType::F64 => backward::<f64>(&call, rest),
            _ => backward::<f32>(&call, rest),
        }
    }
}

/// The outputs and, if asked for, the states and products of [`Saved`].
fn either(inputs: Inputs<Flex>, settings: Settings, save: bool) -> (Outputs<Flex>, Option<[FlexTensor; 2]>) {
    let Inputs { query, key, value, decay, memory, resets } = inputs;
    let call = Call::new([query, key, value], decay, resets, settings.scale).with(settings.segments);
    match call.dtype() {
        DType::F64 => forward::<f64>(&call, memory, save),
        _ => forward::<f32>(&call, memory, save),
    }
}

fn forward<E: Real + Element>(
    call: &Call,
    memory: FlexTensor,
    save: bool,
) -> (Outputs<Flex>, Option<[FlexTensor; 2]>) {
    let (sequence, resets) = (call.sequence::<E>(), call.resets::<E>());
    let extents = sequence.extents;
    let memory = memory.to_contiguous();
    let mut output = Room::<E>::like(&call.value, extents.heads);
    let mut last = Room::<E>::like(&memory, extents.heads);
    let (mut states, mut products) = (None, None);
    if extents.time == 1 && call.segments.is_none() && !save {
        let (memory, output, last) = (numbers(&memory), output.output(), last.output());
        Arch::new().dispatch(Step { sequence, resets, memory, output, last });
    } else {
        let cut = call.cut::<E>();
        let division = Division::of(&extents, &cut);
        let by_chunks = division == Division::Chunks;
        states = (save || by_chunks).then(|| Room::flat(cut.all_slots() * slot_size::<E>(&extents)));
        products = save.then(|| Room::flat(extents.all_heads() * extents.time * CHUNK));
        Arch::new().dispatch(Pass {
            walk: ForwardWalk {
                chunks: forward::Chunks {
                    sequence,
                    output: output.tokens(),
                    products: products.as_mut().map(Room::output),
                },
                states: states.as_mut().map(Room::output),
            },
            carry: Carry { extents, cut: &cut, start: numbers(&memory), end: last.output() },
            group: 1,
            division,
        });
    }
    // SAFETY: a pass fills the outputs of all tokens and the final memories of all heads, and one that saves the
    // memories of all slots and the products of all tokens.
    unsafe {
        let saved = states.zip(products).map(|(states, products)| [states.filled(), products.filled()]);
        (Outputs { output: output.filled(), memory: last.filled() }, saved)
    }
}

fn backward<E: Real + Element>(call: &Call, rest: [FlexTensor; 4]) -> Inputs<Flex> {
    let sequence = call.sequence::<E>();
    let [states, products, upstream, upstream_memory] = rest.map(|tensor| tensor.to_contiguous());
    let (extents, heads) = (sequence.extents, sequence.extents.heads);
    let cut = call.cut::<E>();
    let division = Division::of(&extents, &cut);
    let by_chunks = division == Division::Chunks;
    let [mut query, mut key, mut value] =
        [&call.query, &call.key, &call.value].map(|tensor| Room::<E>::like(tensor, heads));
    let (mut memory, mut decay) = (Room::<E>::like(&upstream_memory, heads), call.decay_room::<E>());
    let mut state_gradients = Room::flat(if by_chunks { numbers::<E>(&states).len() } else { 0 });
    Arch::new().dispatch(Pass {
        walk: BackwardWalk {
            chunks: backward::Chunks {
                sequence,
                products: numbers(&products),
                upstream: tokens(&upstream, heads),
                d_query: query.tokens(),
                d_key: key.tokens(),
                d_value: value.tokens(),
                d_decay: decay.as_mut().map(Room::tokens),
            },
            states: numbers(&states),
            state_gradients: state_gradients.output(),
        },
        carry: Carry { extents, cut: &cut, start: numbers(&upstream_memory), end: memory.output() },
        group: sequence.group(),
        division,
    });
    // SAFETY: a pass fills the gradients of all tokens and of the initial memories of all heads.
    unsafe {
        Inputs {
            query: query.filled(),
            key: key.filled(),
            value: value.filled(),
            decay: Maybe::new(call.decay_gradient(decay)),
            memory: memory.filled(),
            resets: Maybe::Absent,
        }
    }
}
