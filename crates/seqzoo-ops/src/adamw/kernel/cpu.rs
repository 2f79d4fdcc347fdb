//! The kernel on Burn's Flex backend: one pass over weights, gradients and moments, on all cores.

use super::{AdamWBackend, AdamWStep, Moved, Parameter};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::cpu::vectorized::vectorized;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Numbers of a task.
const AT_ONCE: usize = 8192;

impl AdamWBackend for Flex {
    fn adamw(parameter: Parameter<Self>, step: AdamWStep) -> Moved<Self> {
        match parameter.weight.dtype() {
            DType::F64 => moved::<f64>(parameter, step),
            _ => moved::<f32>(parameter, step),
        }
    }
}

fn moved<E: Real + Element>(parameter: Parameter<Flex>, step: AdamWStep) -> Moved<Flex> {
    let Parameter { weight, gradient, first, second } = parameter;
    let gradient = gradient.to_contiguous();
    let [mut weight, mut first, mut second] = [weight, first, second].map(whole);
    Arch::new().dispatch(Pass::<E> {
        weight: weight.storage_mut(),
        gradient: numbers(&gradient),
        first: first.storage_mut(),
        second: second.storage_mut(),
        factors: Factors::of(step),
    });
    Moved { weight, first, second }
}

/// A tensor that has its memory for itself, in order.
fn whole(tensor: FlexTensor) -> FlexTensor {
    let elements = tensor.shape().num_elements();
    let alone = tensor.is_contiguous() && tensor.bytes().len() == elements * tensor.dtype().size();
    if alone { tensor } else { tensor.to_contiguous() }
}

/// The numbers of a step that all weights share.
#[derive(Clone, Copy)]
struct Factors<E> {
    beta_1: E,
    rest_1: E,
    beta_2: E,
    rest_2: E,
    /// `η / (1 - β₁ᵗ)`.
    rate: E,
    of_second: E,
    epsilon: E,
    kept: E,
}

impl<E: Real> Factors<E> {
    fn of(step: AdamWStep) -> Self {
        let [of_first, of_second] = step.corrections();
        let from = |number: f32| E::from_f64(f64::from(number));
        Self {
            beta_1: from(step.beta_1),
            rest_1: from(1.0 - step.beta_1),
            beta_2: from(step.beta_2),
            rest_2: from(1.0 - step.beta_2),
            rate: E::from_f64(step.rate * of_first),
            of_second: E::from_f64(of_second),
            epsilon: from(step.epsilon),
            kept: E::from_f64(step.kept()),
        }
    }
}

/// Some weights of a step.
struct Pass<'a, E> {
    weight: &'a mut [E],
    gradient: &'a [E],
    first: &'a mut [E],
    second: &'a mut [E],
    factors: Factors<E>,
}

impl<E: Real> WithSimd for Pass<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weight, gradient, first, second, factors } = self;
        if weight.len() < 4 * AT_ONCE {
            return vectorized(simd, Part(Pass { weight, gradient, first, second, factors }));
        }
        let parts = weight
            .par_chunks_mut(AT_ONCE)
            .zip(gradient.par_chunks(AT_ONCE))
            .zip(first.par_chunks_mut(AT_ONCE).zip(second.par_chunks_mut(AT_ONCE)));
        parts.for_each(|((weight, gradient), (first, second))| {
            vectorized(simd, Part(Pass { weight, gradient, first, second, factors }));
        });
    }
}

/// The weights of one task.
struct Part<'a, E>(Pass<'a, E>);

impl<E: Real> WithSimd for Part<'_, E> {
    type Output = ();

    /// A loop over numbers, of which the compiler makes vectors.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Pass { weight, gradient, first, second, factors: of } = self.0;
        let count = weight.len();
        let (gradient, first, second) = (&gradient[..count], &mut first[..count], &mut second[..count]);
        for index in 0..count {
            let g = gradient[index];
            let m = of.beta_1 * first[index] + of.rest_1 * g;
            let v = of.beta_2 * second[index] + of.rest_2 * (g * g);
            (first[index], second[index]) = (m, v);
            let root = (v * of.of_second).root() + of.epsilon;
            weight[index] = of.kept * weight[index] - of.rate * m / root;
        }
    }
}
