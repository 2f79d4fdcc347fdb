//! Arithmetic on plain rows of numbers, for what is computed a second time, token by token.

use burn::nn::Linear;
use seqzoo_tests::values;

/// A matrix, `[out, in]`, row by row.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub numbers: Vec<f64>,
    pub columns: usize,
}

impl Matrix {
    /// The weight of `linear`.
    pub fn of(linear: &Linear) -> Self {
        let weight = linear.weight.val().transpose();
        Self { columns: weight.dims()[1], numbers: values(weight) }
    }

    /// Its product with `x`.
    pub fn times(&self, x: &[f64]) -> Vec<f64> {
        assert_eq!(x.len(), self.columns, "the matrix has other columns");
        self.numbers.chunks_exact(self.columns).map(|row| dot(row, x)).collect()
    }

    /// The rows `from..to`.
    pub fn rows(&self, from: usize, to: usize) -> Self {
        let numbers = self.numbers[from * self.columns..to * self.columns].to_vec();
        Self { numbers, columns: self.columns }
    }
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub fn plus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

pub fn times(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

pub fn silu(x: f64) -> f64 {
    x * sigmoid(x)
}

pub fn softplus(x: f64) -> f64 {
    x.exp().ln_1p()
}

/// The approximation of `gelu` with `tanh`.
pub fn gelu(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
    0.5 * x * (1.0 + inner.tanh())
}

pub fn each(x: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
    x.iter().map(|x| f(*x)).collect()
}

pub fn softmax(x: &[f64]) -> Vec<f64> {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers = each(x, |x| (x - largest).exp());
    let sum: f64 = powers.iter().sum();
    each(&powers, |power| power / sum)
}

/// Divided by the root mean square, times `scale`.
pub fn rms_norm(x: &[f64], scale: &[f64], epsilon: f64) -> Vec<f64> {
    let root = (dot(x, x) / x.len() as f64 + epsilon).sqrt();
    times(&each(x, |x| x / root), scale)
}

/// `x`, a head at `position`, turned in its first `turning` channels, of which the first half pairs with the second.
pub fn rotated(x: &[f64], position: usize, turning: usize, base: f64) -> Vec<f64> {
    let (mut turned, half) = (x.to_vec(), turning / 2);
    for pair in 0..half {
        let angle = position as f64 * base.powf(-2.0 * pair as f64 / turning as f64);
        let (a, b) = (x[pair], x[pair + half]);
        turned[pair] = a * angle.cos() - b * angle.sin();
        turned[pair + half] = b * angle.cos() + a * angle.sin();
    }
    turned
}

/// `down (f(gate x) ⊙ up x)`.
pub fn gated(x: &[f64], [gate, up, down]: [&Matrix; 3], f: impl Fn(f64) -> f64) -> Vec<f64> {
    down.times(&times(&each(&gate.times(x), f), &up.times(x)))
}

/// The `count` largest of some numbers and where they are, the first of equal ones first.
pub fn largest(x: &[f64], count: usize) -> Vec<(usize, f64)> {
    let mut all: Vec<(usize, f64)> = x.iter().copied().enumerate().collect();
    all.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    all.truncate(count);
    all
}
