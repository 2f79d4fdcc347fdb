//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "kernels index unchecked after one check, and share outputs between tasks")]

mod run_backward;
mod run_forward;
mod step;
#[cfg(test)]
mod tests;

use super::{Inputs, LinearAttentionBackend, Outputs, Saved, Settings};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::{Output, filled, room};
use crate::kernel::tensors::Maybe;
use crate::matrix_memory::cpu::chunks::CHUNK;
use crate::matrix_memory::cpu::inputs::{Inputs as Call, kept_memory, numbers, tensor};
use crate::matrix_memory::cpu::sequence::{Cut, Fading};
use crate::matrix_memory::cpu::tasks::Division;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use pulp::Arch;
use run_backward::{BackwardPass, Gradients};
use run_forward::ForwardPass;
use step::Step;

impl LinearAttentionBackend for Flex {
    fn linear_attention(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        either(inputs, settings, false).0
    }

    fn linear_attention_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        let Inputs { query, key, value, decay, resets, .. } = inputs.clone();
        let (outputs, kept) = either(inputs, settings, true);
        let Kept { states, products } = kept.expect("a pass that saves has saved");
        (outputs, Saved { query, key, value, decay, resets, states, products })
    }

    fn linear_attention_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        let Saved { query, key, value, decay, resets, states, products } = saved;
        let call = call(query, key, value, decay, resets, settings);
        let rest = [states, products, upstream.output, upstream.memory];
        match call.dtype() {
            DType::F64 => backward::<f64>(&call, rest),
            _ => backward::<f32>(&call, rest),
        }
    }
}

/// The tensors that only the kernel makes.
struct Kept {
    states: FlexTensor,
    products: FlexTensor,
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
    let Inputs { query, key, value, decay, memory, resets } = inputs;
    let call = call(query, key, value, decay, resets, settings);
    match call.dtype() {
        DType::F64 => forward::<f64>(&call, memory, save),
        _ => forward::<f32>(&call, memory, save),
    }
}

fn forward<E: Real + Element>(
    inputs: &Call,
    memory: FlexTensor,
    keep: bool,
) -> (Outputs<Flex>, Option<Kept>) {
    let sequence = inputs.sequence::<E>();
    let resets = inputs.resets::<E>();
    let (memory, of_memory) = (memory.to_contiguous(), memory.shape());
    let memory = numbers::<E>(&memory);
    let extents = &sequence.extents;
    let mut output = room(sequence.value.len());
    let mut last = room(memory.len());
    let (mut states, mut products) = (room(0), room(0));
    if extents.time == 1 && !keep {
        let (output, last) = (Output::new(&mut output), Output::new(&mut last));
        Arch::new().dispatch(Step { sequence, resets, memory, output, last });
    } else {
        let cut = Cut::new(extents, resets);
        let division = Division::of(extents, cut.most_chunks());
        let keep_states = keep || division == Division::Chunks;
        if keep_states {
            states = room(cut.kept * extents.heads * kept_memory(&sequence));
        }
        if keep {
            products = room(extents.batch * extents.heads * extents.time * CHUNK);
        }
        Arch::new().dispatch(ForwardPass {
            sequence,
            cut: &cut,
            memory,
            output: Output::new(&mut output),
            last: Output::new(&mut last),
            states: keep_states.then(|| Output::new(&mut states)),
            products: keep.then(|| Output::new(&mut products)),
            division,
        });
    }
    let kept = keep.then(|| {
        // SAFETY: a pass that saves fills the memories of all slots and the products of all tokens.
        let [states, products] = [states, products].map(|numbers| unsafe { filled(numbers) });
        let flat = |numbers: Vec<E>| {
            let length = numbers.len();
            tensor(numbers, [length])
        };
        Kept { states: flat(states), products: flat(products) }
    });
    // SAFETY: a pass fills the outputs of all tokens and the final memories of all heads.
    let (output, last) = unsafe { (filled(output), filled(last)) };
    (Outputs { output: tensor(output, inputs.value.shape()), memory: tensor(last, of_memory) }, kept)
}

fn backward<E: Real + Element>(inputs: &Call, rest: [FlexTensor; 4]) -> Inputs<Flex> {
    let sequence = inputs.sequence::<E>();
    let [states, products, output, last] = rest.map(|tensor| tensor.to_contiguous());
    let extents = &sequence.extents;
    let cut = Cut::new(extents, inputs.resets::<E>());
    let division = Division::of(extents, cut.most_chunks());
    let (mut query, mut key) = (room(sequence.query.len()), room(sequence.key.len()));
    let (mut value, mut memory) = (room(sequence.value.len()), room(numbers::<E>(&last).len()));
    let mut decay = room(match sequence.decay.fading {
        Fading::None => 0,
        Fading::Alike => extents.batch * extents.time * extents.heads,
        Fading::Channels => sequence.key.len(),
    });
    let by_chunks = division == Division::Chunks;
    let mut memories = room(if by_chunks { numbers::<E>(&states).len() } else { 0 });
    Arch::new().dispatch(BackwardPass {
        sequence,
        cut: &cut,
        states: numbers(&states),
        products: numbers(&products),
        output: numbers(&output),
        last: numbers(&last),
        gradients: Gradients {
            query: Output::new(&mut query),
            key: Output::new(&mut key),
            value: Output::new(&mut value),
            decay: Output::new(&mut decay),
            memory: Output::new(&mut memory),
        },
        memories: Output::new(&mut memories),
        division,
    });
    // SAFETY: a pass fills the gradients of all tokens and of the initial memories of all heads.
    let [query, key, value, decay, memory] =
        [query, key, value, decay, memory].map(|gradients| unsafe { filled(gradients) });
    Inputs {
        query: tensor(query, inputs.query.shape()),
        key: tensor(key, inputs.key.shape()),
        value: tensor(value, inputs.value.shape()),
        decay: Maybe::new(inputs.decay_gradient(decay, &sequence)),
        memory: tensor(memory, last.shape()),
        resets: Maybe::Absent,
    }
}
