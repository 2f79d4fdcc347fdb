//! Complex tensors, as pairs of real ones: Burn has none of its own.

use crate::checks;
use crate::precision::to_dtype;
use burn::tensor::{DType, Device, Tensor};

/// A complex tensor: its real and its imaginary part, of one shape and dtype.
#[derive(Clone, Debug)]
pub struct Complex<const D: usize> {
    /// The real part.
    pub re: Tensor<D>,
    /// The imaginary part.
    pub im: Tensor<D>,
}

impl Complex<2> {
    /// Of `[.., .., 2]`, real and imaginary parts: how parameters are kept.
    pub fn of_parts(parts: Tensor<3>) -> Self {
        let part = |index| parts.clone().narrow(2, index, 1).squeeze_dim(2);
        Self { re: part(0), im: part(1) }
    }
}

impl<const D: usize> Complex<D> {
    /// `re + i im`.
    pub fn new(re: Tensor<D>, im: Tensor<D>) -> Self {
        Self { re, im }
    }

    /// Zeros.
    pub fn zeros(shape: [usize; D], options: (&Device, DType)) -> Self {
        let re = Tensor::zeros(shape, options);
        Self { im: re.clone(), re }
    }

    /// The shape of both parts.
    pub fn dims(&self) -> [usize; D] {
        self.re.dims()
    }

    /// `change` of both parts.
    pub fn map<const E: usize>(self, change: impl Fn(Tensor<D>) -> Tensor<E>) -> Complex<E> {
        Complex { re: change(self.re), im: change(self.im) }
    }

    /// The product, element by element.
    pub fn times(self, other: Self) -> Self {
        let (a, b) = (self, other);
        Self { re: a.re.clone() * b.re.clone() - a.im.clone() * b.im.clone(), im: a.re * b.im + a.im * b.re }
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }

    /// The real part of the product: half the work of [`times`](Self::times).
    pub fn real_of_product(self, other: Self) -> Tensor<D> {
        self.re * other.re - self.im * other.im
    }

    /// `e^z`.
    pub fn exp(self) -> Self {
        let length = self.re.exp();
        Self { re: length.clone() * self.im.clone().cos(), im: length * self.im.sin() }
    }

    /// `1 / z`.
    pub fn reciprocal(self) -> Self {
        let square = self.re.clone().square() + self.im.clone().square();
        Self { re: self.re / square.clone(), im: self.im.neg() / square }
    }

    /// In another dtype.
    pub(crate) fn in_dtype(self, dtype: DType) -> Self {
        self.map(|part| to_dtype(part, dtype))
    }

    /// Panics unless both parts have the shape wanted, a list of (axis name, extent).
    #[track_caller]
    pub(crate) fn check(&self, argument: &str, wanted: &[(&str, usize)]) {
        for (part, name) in [(&self.re, "re"), (&self.im, "im")] {
            // A stream asks for every token, and a name is written where it is wanted alone.
            if !checks::fits(&part.dims(), wanted) {
                checks::shape(&format!("{argument}.{name}"), &part.dims(), wanted);
            }
        }
    }
}
