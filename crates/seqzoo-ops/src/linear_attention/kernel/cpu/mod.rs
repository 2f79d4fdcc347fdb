//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "kernels index unchecked after one check, and share outputs between tasks")]

#[cfg(test)]
mod processors;
mod run_backward;
mod run_forward;
mod step;

use super::LinearAttentionBackend;
use crate::kernel::Settings;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix_memory::chunks::CHUNK;
use crate::kernel::cpu::matrix_memory::inputs::{Inputs, kept_memory, numbers, summed, tensor};
use crate::kernel::cpu::matrix_memory::sequence::{Cut, Fading};
use crate::kernel::cpu::matrix_memory::tasks::Division;
use crate::kernel::cpu::rows::{Rows, filled, room};
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata, tensor::FloatTensor};
use burn::tensor::DType;
use pulp::Arch;
use run_backward::{BackwardPass, Gradients};
use run_forward::ForwardPass;
use std::mem::MaybeUninit;
use step::Step;

impl LinearAttentionBackend for Flex {
    fn linear_attention_forward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        memory: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        settings: Settings,
        keep: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let inputs = Inputs::new([query, key, value, decay, resets], settings);
        match inputs.dtype() {
            DType::F64 => forward::<f64>(&inputs, memory, keep),
            _ => forward::<f32>(&inputs, memory, keep),
        }
    }

    fn linear_attention_vjp(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        states: FloatTensor<Self>,
        products: FloatTensor<Self>,
        output_gradient: FloatTensor<Self>,
        memory_gradient: FloatTensor<Self>,
        settings: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let inputs = Inputs::new([query, key, value, decay, resets], settings);
        let rest = [states, products, output_gradient, memory_gradient];
        match inputs.dtype() {
            DType::F64 => backward::<f64>(&inputs, rest),
            _ => backward::<f32>(&inputs, rest),
        }
    }
}

fn forward<E: Real + Element>(
    inputs: &Inputs,
    memory: FlexTensor,
    keep: bool,
) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
    let sequence = inputs.sequence::<E>();
    let resets = inputs.resets::<E>();
    let (memory, of_memory) = (memory.to_contiguous(), memory.shape());
    let memory = numbers::<E>(&memory);
    let extents = &sequence.extents;
    let mut output = room(sequence.value.len());
    let mut last = room(memory.len());
    let (mut states, mut products) = (room(0), room(0));
    if extents.time == 1 && !keep {
        let (output, last) = (Rows::new(&mut output), Rows::new(&mut last));
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
            output: Rows::new(&mut output),
            last: Rows::new(&mut last),
            states: keep_states.then(|| Rows::new(&mut states)),
            products: keep.then(|| Rows::new(&mut products)),
            division,
        });
    }
    let kept = |numbers: Box<[MaybeUninit<E>]>| {
        if keep {
            let length = numbers.len();
            // SAFETY: a pass that keeps fills the memories of all slots and the products of all tokens.
            tensor(unsafe { filled(numbers) }, [length])
        } else {
            tensor(vec![E::default()], [1])
        }
    };
    let (states, products) = (kept(states), kept(products));
    // SAFETY: a pass fills the outputs of all tokens and the final memories of all heads.
    let (output, last) = unsafe { (filled(output), filled(last)) };
    (tensor(output, inputs.value.shape()), tensor(last, of_memory), states, products)
}

fn backward<E: Real + Element>(
    inputs: &Inputs,
    rest: [FlexTensor; 4],
) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
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
            query: Rows::new(&mut query),
            key: Rows::new(&mut key),
            value: Rows::new(&mut value),
            decay: Rows::new(&mut decay),
            memory: Rows::new(&mut memory),
        },
        memories: Rows::new(&mut memories),
        division,
    });
    // SAFETY: a pass fills the gradients of all tokens and of the initial memories of all heads.
    let [query, key, value, decay, memory] =
        [query, key, value, decay, memory].map(|gradients| unsafe { filled(gradients) });
    (
        tensor(query, inputs.query.shape()),
        tensor(key, inputs.key.shape()),
        tensor(value, inputs.value.shape()),
        tensor(summed(decay, &sequence, inputs.decay.shape().dims()), inputs.decay.shape()),
        tensor(memory, last.shape()),
    )
}
