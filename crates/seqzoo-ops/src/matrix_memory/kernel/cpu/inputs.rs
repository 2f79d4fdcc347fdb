//! A call's tensors as slices, and what a pass fills as tensors.

use super::chunks::Cut;
use super::extents::{Extents, Widths};
use super::sequence::{Decay, Sequence};
use super::states;
use super::tokens::{Layout, Tokens, TokensMut};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::{Output, filled, room};
pub(crate) use crate::kernel::cpu::tensors::numbers;
use crate::kernel::cpu::tensors::tensor;
use crate::kernel::tensors::Maybe;
use crate::segments::Segments;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::{DType, Shape};
use pulp::{Arch, Simd, WithSimd};
use std::mem::MaybeUninit;

/// The tensors that both passes read.
pub(crate) struct Inputs {
    pub query: FlexTensor,
    pub key: FlexTensor,
    /// The values, or whatever else has their shape.
    pub value: FlexTensor,
    pub decay: Option<FlexTensor>,
    pub resets: Option<FlexTensor>,
    pub scale: f64,
    /// Segments, of which the memories are then.
    pub segments: Option<Segments>,
}

impl Inputs {
    /// Contiguous tensors, as all slices here want them.
    pub fn new(
        [query, key, value]: [FlexTensor; 3],
        decay: Maybe<Flex>,
        resets: Maybe<Flex>,
        scale: f64,
    ) -> Self {
        let [query, key, value] = [query, key, value].map(|tensor| tensor.to_contiguous());
        let [decay, resets] =
            [decay, resets].map(|tensor| tensor.into_option().map(|tensor| tensor.to_contiguous()));
        Self { query, key, value, decay, resets, scale, segments: None }
    }

    pub fn with(self, segments: Option<Segments>) -> Self {
        Self { segments, ..self }
    }

    pub fn dtype(&self) -> DType {
        self.query.dtype()
    }

    pub fn sequence<E: Real + Element>(&self) -> Sequence<'_, E> {
        let [batch, time, heads, value] = self.value.shape().dims();
        let key = self.key.shape()[3];
        let tokens = |tensor| tokens(tensor, heads);
        Sequence {
            extents: Extents { batch, time, heads, key, value },
            query: tokens(&self.query),
            key: tokens(&self.key),
            value: tokens(&self.value),
            decay: match &self.decay {
                None => Decay::none(),
                Some(log) => Decay::new(numbers(log), log.shape().dims(), heads),
            },
            scale: E::from_f64(self.scale),
        }
    }

    pub fn resets<E: Real + Element>(&self) -> Option<&[E]> {
        self.resets.as_ref().map(numbers)
    }

    /// The chunks of all sequences.
    pub fn cut<E: Real + Element>(&self) -> Cut {
        Cut::new(&self.sequence::<E>().extents, self.resets::<E>(), self.segments.as_ref())
    }

    /// Room for the gradient of the decay, one for every token: `[b, t, hd, 1 or k]`.
    pub fn decay_room<E: Real + Element>(&self) -> Option<Room<E>> {
        let [batch, time, heads, _] = self.value.shape().dims();
        let [_, _, decay_heads, channels] = self.decay.as_ref()?.shape().dims();
        Some(Room::new([batch, time, decay_heads, channels], heads))
    }

    /// The gradient of the decay, from what a pass has filled.
    ///
    /// # Safety
    ///
    /// As for [`Room::filled`].
    pub unsafe fn decay_gradient<E: Real + Element>(&self, room: Option<Room<E>>) -> Option<FlexTensor> {
        let (room, shape) = (room?, self.decay.as_ref()?.shape());
        // SAFETY: as the caller promises.
        let (gradients, wide) = unsafe { (filled(room.room), room.shape) };
        Some(tensor(summed(gradients, wide.dims(), shape.dims()), shape))
    }
}

/// A contiguous tensor `[b, t, h', c]`, for values of `heads` heads.
pub(crate) fn tokens<E: Real + Element>(tensor: &FlexTensor, heads: usize) -> Tokens<'_, E> {
    Tokens { numbers: numbers(tensor), layout: Layout::new(tensor.shape().dims(), heads) }
}

/// A tensor that a pass is about to fill.
pub(crate) struct Room<E> {
    room: Box<[MaybeUninit<E>]>,
    shape: Shape,
    /// Heads of the values.
    heads: usize,
}

impl<E: Real + Element> Room<E> {
    /// For a tensor of `shape`, for values of `heads` heads.
    pub fn new<const D: usize>(shape: [usize; D], heads: usize) -> Self {
        Self { room: room(shape.iter().product()), shape: Shape::new(shape), heads }
    }

    /// For a tensor in the shape of `tensor`.
    pub fn like(tensor: &FlexTensor, heads: usize) -> Self {
        let shape: [usize; 4] = tensor.shape().dims();
        Self::new(shape, heads)
    }

    /// The same, full of zeros.
    pub fn zeros<const D: usize>(shape: [usize; D], heads: usize) -> Self {
        let mut zeros = Self::new(shape, heads);
        zeros.room.iter_mut().for_each(|element| {
            element.write(E::default());
        });
        zeros
    }

    /// For a tensor of `length` elements in a row.
    pub fn flat(length: usize) -> Self {
        Self::new([length], 1)
    }

    pub fn output(&mut self) -> Output<'_, E> {
        Output::new(&mut self.room)
    }

    /// The tensor as tokens `[b, t, h', c]`.
    pub fn tokens(&mut self) -> TokensMut<'_, E> {
        let layout = Layout::new(self.shape.dims(), self.heads);
        TokensMut { output: Output::new(&mut self.room), layout }
    }

    /// # Safety
    ///
    /// Every element must have been written.
    pub unsafe fn filled(self) -> FlexTensor {
        // SAFETY: as the caller promises.
        tensor(unsafe { filled(self.room) }, self.shape)
    }
}

/// Elements of a slot on this processor.
pub(crate) fn slot_size<E: Real>(extents: &Extents) -> usize {
    struct Size<'a, E>(&'a Extents, std::marker::PhantomData<E>);
    impl<E: Real> WithSimd for Size<'_, E> {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            states::slot_size(self.0, Widths::of::<S, E>(self.0))
        }
    }
    Arch::new().dispatch(Size::<E>(extents, std::marker::PhantomData))
}

/// Sums gradients of the shape `wide` over the axes on which `shape` has extent 1.
fn summed<E: Real>(gradients: Vec<E>, wide: [usize; 4], shape: [usize; 4]) -> Vec<E> {
    if wide == shape {
        return gradients;
    }
    let [_, time, heads, channels] = wide;
    let mut sums = vec![E::default(); shape.iter().product()];
    for (index, gradients) in gradients.chunks_exact(channels).enumerate() {
        let (row, token, head) = (index / (time * heads), index / heads % time, index % heads);
        let start = ((row % shape[0]) * shape[1] + token % shape[1]) * heads + head;
        for (sum, gradient) in sums[start * channels..][..channels].iter_mut().zip(gradients) {
            *sum += *gradient;
        }
    }
    sums
}
