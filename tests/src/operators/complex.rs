//! Complex tensors of the cases.

use crate::Inputs;
use crate::ladder::Change;
use burn::tensor::Tensor;
use seqzoo::ops::Complex;

/// Random, with parts in (-1, 1) times `length`.
pub fn random<const D: usize>(shape: [usize; D], length: f64, inputs: &mut Inputs) -> Complex<D> {
    let re = inputs.uniform(shape) * length;
    Complex::new(re, inputs.uniform(shape) * length)
}

/// Both parts changed: the real one under the name `name`, the imaginary one under `name` and `_im`.
pub fn map<const D: usize>(number: Complex<D>, name: &str, change: &mut impl Change) -> Complex<D> {
    let re = change.of(name, number.re);
    Complex::new(re, change.of(&format!("{name}_im"), number.im))
}

/// One after the other, along time.
pub fn join(outputs: Vec<Complex<3>>) -> Complex<3> {
    let (re, im) = outputs.into_iter().map(|output| (output.re, output.im)).unzip();
    Complex::new(Tensor::cat(re, 1), Tensor::cat(im, 1))
}
