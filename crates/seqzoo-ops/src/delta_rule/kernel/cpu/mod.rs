//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "tasks share outputs, each its own rows")]

mod backward;
mod forward;
#[cfg(test)]
mod processors;
mod run_backward;
mod run_forward;
mod solve;
mod step;
mod strengths;

use super::DeltaRuleBackend;
use crate::delta_rule::keys::refuse;
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
use run_forward::{ForwardPass, Made, Most, Squares};
use std::mem::MaybeUninit;
use step::Step;
use strengths::Beta;

impl DeltaRuleBackend for Flex {
    fn delta_rule_forward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        memory: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        settings: Settings,
        keep: bool,
    ) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
        let inputs = Inputs::new([query, key, value, decay, resets], settings);
        let beta = beta.to_contiguous();
        match inputs.dtype() {
            DType::F64 => forward::<f64>(&inputs, &beta, memory, keep),
            _ => forward::<f32>(&inputs, &beta, memory, keep),
        }
    }

    fn delta_rule_vjp(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        states: FloatTensor<Self>,
        differences: FloatTensor<Self>,
        products: FloatTensor<Self>,
        overlaps: FloatTensor<Self>,
        output_gradient: FloatTensor<Self>,
        memory_gradient: FloatTensor<Self>,
        settings: Settings,
    ) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
        // The values themselves are not read on the way back; their differences have the shape of them.
        let inputs = Inputs::new([query, key, differences, decay, resets], settings);
        let beta = beta.to_contiguous();
        let rest = [states, products, overlaps, output_gradient, memory_gradient];
        match inputs.dtype() {
            DType::F64 => backward::<f64>(&inputs, &beta, rest),
            _ => backward::<f32>(&inputs, &beta, rest),
        }
    }
}

fn strengths<E: Real + Element>(beta: &FlexTensor) -> Beta<'_, E> {
    Beta { numbers: numbers(beta), channels: beta.shape()[3] }
}

fn forward<E: Real + Element>(
    inputs: &Inputs,
    beta: &FlexTensor,
    memory: FlexTensor,
    keep: bool,
) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
    let (sequence, beta) = (inputs.sequence::<E>(), strengths::<E>(beta));
    let resets = inputs.resets::<E>();
    let (memory, of_memory) = (memory.to_contiguous(), memory.shape());
    let memory = numbers::<E>(&memory);
    let extents = &sequence.extents;
    let (mut output, mut last) = (room(sequence.value.len()), room(memory.len()));
    let (mut states, mut differences) = (room(0), room(0));
    let (mut products, mut triangles) = (room(0), room(0));
    let most = Most::default();
    if extents.time == 1 && !keep {
        let (output, last) = (Rows::new(&mut output), Rows::new(&mut last));
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
            output: Rows::new(&mut output),
            last: Rows::new(&mut last),
            made: make
                .then(|| Made { states: Rows::new(&mut states), differences: Rows::new(&mut differences) }),
            squares: keep.then(|| Squares {
                products: Rows::new(&mut products),
                triangles: Rows::new(&mut triangles),
            }),
            division,
            most: &most,
        });
    }
    if inputs.settings.bounded {
        refuse(most.get());
    }
    let kept = |numbers: Box<[MaybeUninit<E>]>| {
        if keep {
            let length = numbers.len();
            // SAFETY: a pass that keeps fills the memories of all slots, and differences and squares of all tokens.
            tensor(unsafe { filled(numbers) }, [length])
        } else {
            tensor(vec![E::default()], [1])
        }
    };
    let [states, products, triangles] = [states, products, triangles].map(kept);
    let mut differences = kept(differences);
    if keep {
        differences = differences.reshape(inputs.value.shape());
    }
    // SAFETY: a pass fills the outputs of all tokens and the final memories of all heads.
    let (output, last) = unsafe { (filled(output), filled(last)) };
    let output = tensor(output, inputs.value.shape());
    (output, tensor(last, of_memory), states, differences, products, triangles)
}

fn backward<E: Real + Element>(
    inputs: &Inputs,
    beta: &FlexTensor,
    rest: [FlexTensor; 5],
) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
    let of_beta = beta.shape();
    let (sequence, beta) = (inputs.sequence::<E>(), strengths::<E>(beta));
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
            query: Rows::new(&mut query),
            key: Rows::new(&mut key),
            value: Rows::new(&mut value),
            beta: Rows::new(&mut strength),
            decay: Rows::new(&mut decay),
            memory: Rows::new(&mut memory),
        },
        memories: Rows::new(&mut memories),
        division,
    });
    // SAFETY: a pass fills the gradients of all tokens and of the initial memories of all heads.
    let [query, key, value, strength, decay, memory] =
        [query, key, value, strength, decay, memory].map(|gradients| unsafe { filled(gradients) });
    (
        tensor(query, inputs.query.shape()),
        tensor(key, inputs.key.shape()),
        tensor(value, inputs.value.shape()),
        tensor(strength, of_beta),
        tensor(summed(decay, &sequence, inputs.decay.shape().dims()), inputs.decay.shape()),
        tensor(memory, last.shape()),
    )
}
