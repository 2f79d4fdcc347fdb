//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "passes fill tensors in parallel")]

mod backward;
mod backward_chunk;
mod beta;
mod forward;
mod forward_chunk;
mod key_bound;
mod solve;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use solve::GROUP;

use super::{DeltaRuleBackend, Inputs, Outputs, Saved, Settings};
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
use forward_chunk::Squares;
use pulp::Arch;
use step::Step;

impl DeltaRuleBackend for Flex {
    fn delta_rule(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        either(inputs, settings, false).0
    }

    fn delta_rule_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        let Inputs { query, key, beta, decay, resets, .. } = inputs.clone();
        let (outputs, saved) = either(inputs, settings, true);
        let [states, differences, products, overlaps] = saved.expect("a pass that saves has saved");
        (outputs, Saved { query, key, beta, decay, resets, states, differences, products, overlaps })
    }

    fn delta_rule_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        let Saved { query, key, beta, decay, resets, states, differences, products, overlaps } = saved;
        let beta = beta.to_contiguous();
        // Backwards, the differences take the place of the values.
        let call =
            Call::new([query, key, differences], decay, resets, settings.scale).with(settings.segments);
        let rest = [states, products, overlaps, upstream.output, upstream.memory];
        match call.dtype() {
            DType::F64 => backward::<f64>(&call, &beta, rest),
            _ => backward::<f32>(&call, &beta, rest),
        }
    }
}

/// The outputs and, if asked for, the last four tensors of [`Saved`].
fn either(inputs: Inputs<Flex>, settings: Settings, save: bool) -> (Outputs<Flex>, Option<[FlexTensor; 4]>) {
    let Inputs { query, key, value, beta, decay, memory, resets } = inputs;
    let beta = beta.to_contiguous();
    let call = Call::new([query, key, value], decay, resets, settings.scale).with(settings.segments);
    match call.dtype() {
        DType::F64 => forward::<f64>(&call, &beta, memory, settings.bounded, save),
        _ => forward::<f32>(&call, &beta, memory, settings.bounded, save),
    }
}

fn forward<E: Real + Element>(
    call: &Call,
    beta: &FlexTensor,
    memory: FlexTensor,
    bounded: bool,
    save: bool,
) -> (Outputs<Flex>, Option<[FlexTensor; 4]>) {
    let (sequence, resets) = (call.sequence::<E>(), call.resets::<E>());
    let extents = sequence.extents;
    let beta = tokens::<E>(beta, extents.heads);
    if bounded {
        key_bound::check(&sequence, beta);
    }
    let memory = memory.to_contiguous();
    let mut output = Room::<E>::like(&call.value, extents.heads);
    let mut last = Room::<E>::like(&memory, extents.heads);
    let (mut states, mut differences, mut squares) = (None, None, None);
    if extents.time == 1 && call.segments.is_none() && !save {
        let (memory, output, last) = (numbers(&memory), output.output(), last.output());
        Arch::new().dispatch(Step { sequence, beta, resets, memory, output, last });
    } else {
        let cut = call.cut::<E>();
        let division = Division::of(&extents, &cut);
        if save || division == Division::Chunks {
            states = Some(Room::flat(cut.all_slots() * slot_size::<E>(&extents)));
            differences = Some(Room::like(&call.value, extents.heads));
        }
        if save {
            squares = Some([(); 2].map(|()| Room::flat(extents.all_heads() * extents.time * CHUNK)));
        }
        Arch::new().dispatch(Pass {
            walk: ForwardWalk {
                chunks: forward_chunk::Chunks {
                    sequence,
                    beta,
                    output: output.tokens(),
                    differences: differences.as_mut().map(Room::tokens),
                    squares: squares.as_mut().map(|[products, overlaps]| Squares {
                        products: products.output(),
                        overlaps: overlaps.output(),
                    }),
                },
                states: states.as_mut().map(Room::output),
            },
            carry: Carry { extents, cut: &cut, start: numbers(&memory), end: last.output() },
            group: 1,
            division,
        });
    }
    // SAFETY: a pass fills the outputs of all tokens and the final memories of all heads, and one that saves the
    // memories of all slots, and differences and squares of all tokens.
    unsafe {
        let saved = match (states, differences, squares) {
            (Some(states), Some(differences), Some([products, overlaps])) => {
                Some([states, differences, products, overlaps].map(|room| room.filled()))
            }
            _ => None,
        };
        (Outputs { output: output.filled(), memory: last.filled() }, saved)
    }
}

fn backward<E: Real + Element>(call: &Call, beta: &FlexTensor, rest: [FlexTensor; 5]) -> Inputs<Flex> {
    let sequence = call.sequence::<E>();
    let [states, products, overlaps, upstream, upstream_memory] = rest.map(|tensor| tensor.to_contiguous());
    let (extents, heads) = (sequence.extents, sequence.extents.heads);
    let cut = call.cut::<E>();
    let division = Division::of(&extents, &cut);
    let by_chunks = division == Division::Chunks;
    let [mut query, mut key, mut value, mut d_beta] =
        [&call.query, &call.key, &call.value, beta].map(|tensor| Room::<E>::like(tensor, heads));
    let (mut memory, mut decay) = (Room::<E>::like(&upstream_memory, heads), call.decay_room::<E>());
    let mut state_gradients = Room::flat(if by_chunks { numbers::<E>(&states).len() } else { 0 });
    Arch::new().dispatch(Pass {
        walk: BackwardWalk {
            chunks: backward_chunk::Chunks {
                sequence,
                beta: tokens(beta, heads),
                products: numbers(&products),
                overlaps: numbers(&overlaps),
                upstream: tokens(&upstream, heads),
                d_query: query.tokens(),
                d_key: key.tokens(),
                d_value: value.tokens(),
                d_beta: d_beta.tokens(),
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
            beta: d_beta.filled(),
            decay: Maybe::new(call.decay_gradient(decay)),
            memory: memory.filled(),
            resets: Maybe::Absent,
        }
    }
}
