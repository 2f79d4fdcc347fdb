//! The recurrence in a number of tensor operations that grows with the logarithm of the tokens.

use super::reset;
use crate::complex::Complex;
use burn::tensor::{Bool, Device, Tensor};

/// Tensors that the recurrence runs over: real or complex.
pub(crate) trait Numbers: Clone {
    /// A tensor of reals.
    type Part;

    fn device(&self) -> Device;
    /// `change` of every part.
    fn map_parts(self, change: impl Fn(Self::Part) -> Self::Part) -> Self;
    /// `change` of every part with that of `other`.
    fn zip_parts(self, other: Self, change: impl Fn(Self::Part, Self::Part) -> Self::Part) -> Self;
    fn extent(&self, axis: usize) -> usize;
    fn slice(&self, axis: usize, from: usize, length: usize) -> Self;
    fn join(parts: Vec<Self>, axis: usize) -> Self;
    /// In another shape of as many axes.
    fn shaped(self, shape: &[usize]) -> Self;
    /// Repeated along axes of extent 1 until it has this shape.
    fn repeated(self, shape: &[usize]) -> Self;
    fn product(self, other: Self) -> Self;
    fn sum(self, other: Self) -> Self;
    /// Zeros for the sequences that `resets`, `[b, t]`, clears before the token `t`.
    fn cleared(self, resets: &Tensor<2, Bool>, t: usize) -> Self;
    /// Of one per token, `[b, t, ..]`: zeros for the tokens that begin a sequence.
    fn cut(self, resets: &Tensor<2, Bool>) -> Self;
}

impl<const D: usize> Numbers for Tensor<D> {
    type Part = Self;

    fn device(&self) -> Device {
        Tensor::device(self)
    }

    fn map_parts(self, change: impl Fn(Self) -> Self) -> Self {
        change(self)
    }

    fn zip_parts(self, other: Self, change: impl Fn(Self, Self) -> Self) -> Self {
        change(self, other)
    }

    fn extent(&self, axis: usize) -> usize {
        self.dims()[axis]
    }

    fn slice(&self, axis: usize, from: usize, length: usize) -> Self {
        self.clone().narrow(axis, from, length)
    }

    fn join(parts: Vec<Self>, axis: usize) -> Self {
        Tensor::cat(parts, axis)
    }

    fn shaped(self, shape: &[usize]) -> Self {
        self.reshape(of_rank::<D>(shape))
    }

    fn repeated(self, shape: &[usize]) -> Self {
        self.expand(of_rank::<D>(shape))
    }

    fn product(self, other: Self) -> Self {
        self * other
    }

    fn sum(self, other: Self) -> Self {
        self + other
    }

    fn cleared(self, resets: &Tensor<2, Bool>, t: usize) -> Self {
        reset::cleared(self, resets, t)
    }

    fn cut(self, resets: &Tensor<2, Bool>) -> Self {
        reset::cut(self, resets)
    }
}

impl<const D: usize> Numbers for Complex<D> {
    type Part = Tensor<D>;

    fn device(&self) -> Device {
        self.re.device()
    }

    fn map_parts(self, change: impl Fn(Tensor<D>) -> Tensor<D>) -> Self {
        self.map(change)
    }

    fn zip_parts(self, other: Self, change: impl Fn(Tensor<D>, Tensor<D>) -> Tensor<D>) -> Self {
        Self { re: change(self.re, other.re), im: change(self.im, other.im) }
    }

    fn extent(&self, axis: usize) -> usize {
        self.dims()[axis]
    }

    fn slice(&self, axis: usize, from: usize, length: usize) -> Self {
        self.clone().map(|part| part.narrow(axis, from, length))
    }

    fn join(parts: Vec<Self>, axis: usize) -> Self {
        let (re, im) = parts.into_iter().map(|part| (part.re, part.im)).unzip();
        Self { re: Tensor::cat(re, axis), im: Tensor::cat(im, axis) }
    }

    fn shaped(self, shape: &[usize]) -> Self {
        self.map(|part| part.shaped(shape))
    }

    fn repeated(self, shape: &[usize]) -> Self {
        self.map(|part| part.repeated(shape))
    }

    fn product(self, other: Self) -> Self {
        self.times(other)
    }

    fn sum(self, other: Self) -> Self {
        self.plus(other)
    }

    fn cleared(self, resets: &Tensor<2, Bool>, t: usize) -> Self {
        self.map(|part| reset::cleared(part, resets, t))
    }

    fn cut(self, resets: &Tensor<2, Bool>) -> Self {
        self.map(|part| reset::cut(part, resets))
    }
}

fn of_rank<const D: usize>(shape: &[usize]) -> [usize; D] {
    shape.try_into().expect("the shape has as many axes as the tensor")
}

/// `h_t = a_t h_{t-1} + x_t` along `axis`, from zero: the products `a_t ⋯ a_1` and the states.
///
/// Two neighbours are one step with the factor `a_2 a_1` and the input `a_2 x_1 + x_2`; every round doubles how far a
/// token has looked back. Nothing is divided, so factors may be 0.
pub(crate) fn doubling<N: Numbers>(mut factors: N, mut states: N, axis: usize) -> (N, N) {
    let length = states.extent(axis);
    let mut back = 1;
    while back < length {
        let rest = length - back;
        let (a, before) = (factors.slice(axis, back, rest), factors.slice(axis, 0, rest));
        let moved = a.clone().product(states.slice(axis, 0, rest)).sum(states.slice(axis, back, rest));
        states = N::join(vec![states.slice(axis, 0, back), moved], axis);
        factors = N::join(vec![factors.slice(axis, 0, back), a.product(before)], axis);
        back *= 2;
    }
    (factors, states)
}
