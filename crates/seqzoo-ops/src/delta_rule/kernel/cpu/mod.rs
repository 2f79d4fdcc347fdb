//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "tasks share outputs, each its own rows")]

mod backward;
mod beta;
mod forward;
mod run_backward;
mod run_forward;
mod solve;
mod step;
#[cfg(test)]
mod tests;

use super::{DeltaRuleBackend, Inputs, Outputs, Saved, Settings};
use crate::delta_rule::keys::refuse;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::{Output, filled, room};
use crate::kernel::tensors::Maybe;
use crate::matrix_memory::cpu::chunks::CHUNK;
use crate::matrix_memory::cpu::inputs::{Inputs as Call, kept_memory, numbers, tensor};
use crate::matrix_memory::cpu::sequence::{Cut, Fading};
use crate::matrix_memory::cpu::tasks::Division;
use beta::Beta;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use pulp::Arch;
use run_backward::{BackwardPass, Gradients};
use run_forward::{ForwardPass, Made, Most, Squares};
use step::Step;

impl DeltaRuleBackend for Flex {
    fn delta_rule(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        either(inputs, settings, false).0
    }

    fn delta_rule_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        let Inputs { query, key, beta, decay, resets, .. } = inputs.clone();
        let (outputs, kept) = either(inputs, settings, true);
        let Kept { states, differences, products, overlaps } = kept.expect("a pass that saves has saved");
        let saved = Saved { query, key, beta, decay, resets, states, differences, products, overlaps };
        (outputs, saved)
    }

    fn delta_rule_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        let Saved { query, key, beta, decay, resets, states, differences, products, overlaps } = saved;
        let beta = beta.to_contiguous();
        let call = call(query, key, differences, decay, resets, settings);
        let rest = [states, products, overlaps, upstream.output, upstream.memory];
        match call.dtype() {
            DType::F64 => backward::<f64>(&call, &beta, rest),
            _ => backward::<f32>(&call, &beta, rest),
        }
    }
}

/// The tensors that only the kernel makes.
struct Kept {
    states: FlexTensor,
    differences: FlexTensor,
    products: FlexTensor,
    overlaps: FlexTensor,
}

fn call(
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    decay: Maybe<Flex>,
    resets: Maybe<Flex>,
    settings: Settings,
) -> Call {
    let (decay, resets) = (decay.into_option(), resets.into_option());
    Call { query, key, value, decay, resets, scale: settings.scale }.contiguous()
}

fn either(inputs: Inputs<Flex>, settings: Settings, save: bool) -> (Outputs<Flex>, Option<Kept>) {
    let Inputs { query, key, value, beta, decay, memory, resets } = inputs;
    let beta = beta.to_contiguous();
    let call = call(query, key, value, decay, resets, settings);
    match call.dtype() {
        DType::F64 => forward::<f64>(&call, &beta, memory, settings.bounded, save),
        _ => forward::<f32>(&call, &beta, memory, settings.bounded, save),
    }
}

fn beta_numbers<E: Real + Element>(beta: &FlexTensor) -> Beta<'_, E> {
    Beta { numbers: numbers(beta), channels: beta.shape()[3] }
}

fn forward<E: Real + Element>(
    inputs: &Call,
    beta: &FlexTensor,
    memory: FlexTensor,
    bounded: bool,
    keep: bool,
) -> (Outputs<Flex>, Option<Kept>) {
    let (sequence, beta) = (inputs.sequence::<E>(), beta_numbers::<E>(beta));
    let resets = inputs.resets::<E>();
    let (memory, of_memory) = (memory.to_contiguous(), memory.shape());
    let memory = numbers::<E>(&memory);
    let extents = &sequence.extents;
    let (mut output, mut last) = (room(sequence.value.len()), room(memory.len()));
    let (mut states, mut differences) = (room(0), room(0));
    let (mut products, mut triangles) = (room(0), room(0));
    let most = Most::default();
    if extents.time == 1 && !keep {
        let (output, last) = (Output::new(&mut output), Output::new(&mut last));
        Arch::new().dispatch(Step { sequence, beta, resets, memory, output, last, most: &most });
    } else {
        let cut = Cut::new(extents, resets);
        let division = Division::of(extents, cut.most_chunks());
        let make = keep || division == Division::Chunks;
        if make {
            states = room(cut.kept * extents.heads * kept_memory(&sequence));
            differences = room(sequence.value.len());
        }
        if keep {
            [products, triangles] = [(); 2].map(|()| room(extents.all_heads() * extents.time * CHUNK));
        }
        Arch::new().dispatch(ForwardPass {
            sequence,
            beta,
            cut: &cut,
            memory,
            output: Output::new(&mut output),
            last: Output::new(&mut last),
            made: make.then(|| Made {
                states: Output::new(&mut states),
                differences: Output::new(&mut differences),
            }),
            squares: keep.then(|| Squares {
                products: Output::new(&mut products),
                triangles: Output::new(&mut triangles),
            }),
            division,
            most: &most,
        });
    }
    if bounded {
        refuse(most.get());
    }
    let kept = keep.then(|| {
        let flat = |numbers: Vec<E>| {
            let length = numbers.len();
            tensor(numbers, [length])
        };
        // SAFETY: a pass that saves fills the memories of all slots, and differences and products of all tokens.
        let [states, differences, products, overlaps] =
            [states, differences, products, triangles].map(|numbers| unsafe { filled(numbers) });
        let differences = tensor(differences, inputs.value.shape());
        Kept { states: flat(states), differences, products: flat(products), overlaps: flat(overlaps) }
    });
    // SAFETY: a pass fills the outputs of all tokens and the final memories of all heads.
    let (output, last) = unsafe { (filled(output), filled(last)) };
    (Outputs { output: tensor(output, inputs.value.shape()), memory: tensor(last, of_memory) }, kept)
}

fn backward<E: Real + Element>(inputs: &Call, beta: &FlexTensor, rest: [FlexTensor; 5]) -> Inputs<Flex> {
    let of_beta = beta.shape();
    let (sequence, beta) = (inputs.sequence::<E>(), beta_numbers::<E>(beta));
    let [states, products, triangles, output, last] = rest.map(|tensor| tensor.to_contiguous());
    let extents = &sequence.extents;
    let cut = Cut::new(extents, inputs.resets::<E>());
    let division = Division::of(extents, cut.most_chunks());
    let (mut query, mut key) = (room(sequence.query.len()), room(sequence.key.len()));
    let (mut value, mut memory) = (room(sequence.value.len()), room(numbers::<E>(&last).len()));
    let mut strength = room(beta.numbers.len());
    let mut decay = room(match sequence.decay.fading {
        Fading::None => 0,
        Fading::Alike => extents.all_heads() * extents.time,
        Fading::Channels => sequence.key.len(),
    });
    let by_chunks = division == Division::Chunks;
    let mut memories = room(if by_chunks { numbers::<E>(&states).len() } else { 0 });
    Arch::new().dispatch(BackwardPass {
        sequence,
        beta,
        cut: &cut,
        states: numbers(&states),
        differences: sequence.value,
        products: numbers(&products),
        triangles: numbers(&triangles),
        output: numbers(&output),
        last: numbers(&last),
        gradients: Gradients {
            query: Output::new(&mut query),
            key: Output::new(&mut key),
            value: Output::new(&mut value),
            beta: Output::new(&mut strength),
            decay: Output::new(&mut decay),
            memory: Output::new(&mut memory),
        },
        memories: Output::new(&mut memories),
        division,
    });
    // SAFETY: a pass fills the gradients of all tokens and of the initial memories of all heads.
    let [query, key, value, strength, decay, memory] =
        [query, key, value, strength, decay, memory].map(|gradients| unsafe { filled(gradients) });
    Inputs {
        query: tensor(query, inputs.query.shape()),
        key: tensor(key, inputs.key.shape()),
        value: tensor(value, inputs.value.shape()),
        beta: tensor(strength, of_beta),
        decay: Maybe::new(inputs.decay_gradient(decay, &sequence)),
        memory: tensor(memory, last.shape()),
        resets: Maybe::Absent,
    }
}
