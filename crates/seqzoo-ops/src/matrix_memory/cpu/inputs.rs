//! A call's tensors as slices, and slices as tensors.

use super::forward::widths;
use super::sequence::{Decay, Extents, Sequence};
use crate::kernel::cpu::lanes::Real;
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Element, TensorMetadata};
use burn::tensor::{Bytes, DType, Shape};
use pulp::{Arch, Simd, WithSimd};

/// The tensors that both passes read.
pub(crate) struct Inputs {
    pub query: FlexTensor,
    pub key: FlexTensor,
    /// The values, or whatever else has their shape.
    pub value: FlexTensor,
    pub decay: Option<FlexTensor>,
    pub resets: Option<FlexTensor>,
    pub scale: f64,
}

impl Inputs {
    pub fn contiguous(self) -> Self {
        let Self { query, key, value, decay, resets, scale } = self;
        let [query, key, value] = [query, key, value].map(|tensor| tensor.to_contiguous());
        let [decay, resets] = [decay, resets].map(|tensor| tensor.map(|tensor| tensor.to_contiguous()));
        Self { query, key, value, decay, resets, scale }
    }

    pub fn dtype(&self) -> DType {
        self.query.dtype()
    }

    pub fn sequence<E: Real + Element>(&self) -> Sequence<'_, E> {
        let [batch, time, heads, key] = self.query.shape().dims();
        let value = self.value.shape()[3];
        Sequence {
            extents: Extents { batch, time, heads, key, value },
            query: numbers(&self.query),
            key: numbers(&self.key),
            value: numbers(&self.value),
            decay: match &self.decay {
                None => Decay::none(),
                Some(log) => Decay::new(numbers(log), log.shape().dims()),
            },
            scale: E::from_f64(self.scale),
        }
    }

    pub fn resets<E: Real + Element>(&self) -> Option<&[E]> {
        self.resets.as_ref().map(numbers)
    }

    /// The gradient of the decay, from gradients `[b, t, h, 1 or k]`.
    pub fn decay_gradient<E: Real + Element>(
        &self,
        gradients: Vec<E>,
        sequence: &Sequence<'_, E>,
    ) -> Option<FlexTensor> {
        let shape = self.decay.as_ref()?.shape();
        Some(tensor(summed(gradients, sequence, shape.dims()), shape))
    }
}

/// The elements of a contiguous tensor.
pub(crate) fn numbers<E: Real + Element>(tensor: &FlexTensor) -> &[E] {
    tensor.as_slice::<E>().expect("the tensors of a call are contiguous and share one dtype")
}

pub(crate) fn tensor<E: Real + Element>(numbers: Vec<E>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(numbers), Layout::contiguous(shape.into()), E::dtype())
}

/// Elements of one memory as this processor keeps it: a row of padded key channels for every value channel.
pub(crate) fn kept_memory<E: Real>(sequence: &Sequence<'_, E>) -> usize {
    struct Width<'a, 'b, E>(&'a Sequence<'b, E>);
    impl<E: Real> WithSimd for Width<'_, '_, E> {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            widths::<S, E>(self.0).0
        }
    }
    sequence.extents.value * Arch::new().dispatch(Width(sequence))
}

/// Sums gradients `[b, t, h, 1 or k]` over what a decay of `shape` shares.
fn summed<E: Real>(gradients: Vec<E>, sequence: &Sequence<'_, E>, shape: [usize; 4]) -> Vec<E> {
    let length = shape.iter().product();
    if gradients.len() == length {
        return gradients;
    }
    let Extents { time, heads, .. } = sequence.extents;
    let channels = shape[3];
    let mut sums = vec![E::default(); length];
    for (index, gradients) in gradients.chunks_exact(channels).enumerate() {
        let (row, token, head) = (index / (time * heads), index / heads % time, index % heads);
        let start = sequence.decay.at(row, token, head);
        for (sum, gradient) in sums[start..][..channels].iter_mut().zip(gradients) {
            *sum += *gradient;
        }
    }
    sums
}
