//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "kernels index unchecked after one check, and share outputs between tasks")]

mod backward;
mod chunks;
mod diagonal;
mod forward;
mod gates;
mod memory;
#[cfg(test)]
mod processors;
mod run_backward;
mod run_forward;
mod sequence;
mod step;
mod tasks;
mod tokens;

use super::{LinearAttentionBackend, Settings};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::rows::{Rows, filled, room};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Element, Flex, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Bytes, DType, Shape};
use chunks::CHUNK;
use pulp::{Arch, Simd, WithSimd};
use run_backward::{BackwardPass, Gradients};
use run_forward::ForwardPass;
use sequence::{Cut, Decay, Extents, Fading, Sequence};
use std::mem::MaybeUninit;
use step::Step;
use tasks::Division;

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

/// The tensors that both passes read.
struct Inputs {
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    decay: FlexTensor,
    resets: FlexTensor,
    settings: Settings,
}

impl Inputs {
    fn new(tensors: [FlexTensor; 5], settings: Settings) -> Self {
        let [query, key, value, decay, resets] = tensors.map(|tensor| tensor.to_contiguous());
        Self { query, key, value, decay, resets, settings }
    }

    fn dtype(&self) -> DType {
        self.query.dtype()
    }

    fn sequence<E: Real + Element>(&self) -> Sequence<'_, E> {
        let [batch, time, heads, key] = self.query.shape().dims();
        let value = self.value.shape()[3];
        Sequence {
            extents: Extents { batch, time, heads, key, value },
            query: numbers(&self.query),
            key: numbers(&self.key),
            value: numbers(&self.value),
            decay: Decay::new(numbers(&self.decay), self.decay.shape().dims(), self.settings.decays),
            scale: E::from_f64(self.settings.scale),
        }
    }

    fn resets<E: Real + Element>(&self) -> Option<&[E]> {
        self.settings.resets.then(|| numbers(&self.resets))
    }
}

/// The elements of a contiguous tensor.
fn numbers<E: Real + Element>(tensor: &FlexTensor) -> &[E] {
    tensor.as_slice::<E>().expect("the tensors of a call are contiguous and share one dtype")
}

fn tensor<E: Real + Element>(numbers: Vec<E>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(numbers), Layout::contiguous(shape.into()), E::dtype())
}

/// Elements of one memory in padded rows, as this processor keeps it.
fn padded_memory<E: Real>(sequence: &Sequence<'_, E>) -> usize {
    struct Width<'a, 'b, E>(&'a Sequence<'b, E>);
    impl<E: Real> WithSimd for Width<'_, '_, E> {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            forward::widths::<S, E>(self.0).1
        }
    }
    sequence.extents.key * Arch::new().dispatch(Width(sequence))
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
            states = room(cut.kept * extents.heads * padded_memory(&sequence));
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
        memories: by_chunks.then(|| Rows::new(&mut memories)),
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

/// Sums gradients `[b, t, h, 1 or k]` over what a decay of `shape` shares.
fn summed<E: Real>(gradients: Vec<E>, sequence: &Sequence<'_, E>, shape: [usize; 4]) -> Vec<E> {
    let length = shape.iter().product();
    if gradients.len() == length {
        return gradients;
    }
    if gradients.is_empty() {
        return vec![E::default(); length];
    }
    let Extents { batch, time, heads, .. } = sequence.extents;
    let channels = shape[3];
    let mut sums = vec![E::default(); length];
    for (index, gradients) in gradients.chunks_exact(channels).enumerate() {
        let (row, token, head) = (index / (time * heads), index / heads % time, index % heads);
        debug_assert!(row < batch);
        let start = sequence.decay.at(row, token, head);
        for (sum, gradient) in sums[start..][..channels].iter_mut().zip(gradients) {
            *sum += *gradient;
        }
    }
    sums
}
