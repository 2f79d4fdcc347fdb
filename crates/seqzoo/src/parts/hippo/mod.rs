//! HiPPO matrices: linear systems whose state holds the past as coefficients of polynomials.

mod skew;

use crate::ConfigError;
use burn::config::Config;

/// The largest order: the decompositions take a time that grows with its third power.
pub(crate) const MAX_ORDER: usize = 512;

/// A measure of the past, and with it the system `x'(t) = A x(t) + B u(t)` whose state `x` approximates the past best
/// under that measure.
///
/// Source: Gu et al. 2020, <https://arxiv.org/abs/2008.07669>; the forms here are those of Gu et al. 2022,
/// <https://arxiv.org/abs/2206.12037>, and of the implementation of S4.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum Hippo {
    /// Scaled Legendre: all of the past, exponentially warped.
    LegS,
    /// Translated Legendre: a sliding window. `A` and `B` are half those of the paper, as in the implementation of S4.
    LegT,
}

/// A linear system: `A`, `[N, N]` row by row, and `B`, `[N]`.
#[derive(Clone, Debug)]
pub struct System {
    /// `A`, row by row.
    pub a: Vec<f64>,
    /// `B`.
    pub b: Vec<f64>,
}

impl System {
    /// `N`.
    pub fn order(&self) -> usize {
        self.b.len()
    }

    /// The delay network of the Legendre memory unit, for a window of length 1: `A_nk = (2n + 1)·(−1 if n < k else
    /// (−1)^(n−k+1))`, `B_n = (2n + 1)·(−1)^n`. It is [`Hippo::LegT`] in another scale of the coefficients.
    ///
    /// Source: Voelker et al. 2019, *Legendre Memory Units* (eq. 2).
    pub fn delay(order: usize) -> Self {
        let entry = |n: usize, k: usize| {
            let sign = if n < k || (n - k).is_multiple_of(2) { -1.0 } else { 1.0 };
            sign * (2 * n + 1) as f64
        };
        let sign = |n: usize| if n.is_multiple_of(2) { 1.0 } else { -1.0 };
        Self { a: matrix(order, entry), b: (0..order).map(|n| sign(n) * (2 * n + 1) as f64).collect() }
    }
}

/// A system that is normal but for a low rank, in the basis of the eigenvectors of its normal part:
/// `A = diag(Λ) − P Pᴴ`.
///
/// The eigenvalues come in pairs of conjugates; of each pair, that with the negative imaginary part is kept, in the
/// order of the imaginary parts. Eigenvectors have no phase of their own, so that of [`b`](Self::b) and
/// [`p`](Self::p) is arbitrary, but the same for both.
#[derive(Clone, Debug)]
pub struct NormalPlusLowRank {
    /// The real part that all eigenvalues share.
    pub real: f64,
    /// The imaginary parts, `[N / 2]`.
    pub imaginary: Vec<f64>,
    /// `B` in that basis, `[N / 2]` of (real, imaginary).
    pub b: Vec<[f64; 2]>,
    /// The columns of `P` in that basis, each `[N / 2]` of (real, imaginary).
    pub p: Vec<Vec<[f64; 2]>>,
}

impl Hippo {
    /// `A` and `B` of `order` coefficients.
    pub fn system(self, order: usize) -> System {
        let (entry, scale): (fn(usize, usize) -> f64, f64) = match self {
            Self::LegS => (legs, 1.0),
            Self::LegT => (legt, 0.5),
        };
        System { a: matrix(order, entry), b: (0..order).map(|n| scale * root(n)).collect() }
    }

    /// The columns of `P`: `A + Σ P Pᵀ` is a multiple of the identity and a skew-symmetric matrix.
    pub fn rank_correction(self, order: usize) -> Vec<Vec<f64>> {
        let column = |keep: fn(usize) -> bool| {
            (0..order).map(|n| if keep(n) { 0.5f64.sqrt() * root(n) } else { 0.0 }).collect()
        };
        match self {
            Self::LegS => vec![column(|_| true)],
            Self::LegT => vec![column(|n| !n.is_multiple_of(2)), column(|n| n.is_multiple_of(2))],
        }
    }

    /// The columns of `P`.
    pub fn rank(self) -> usize {
        match self {
            Self::LegS => 1,
            Self::LegT => 2,
        }
    }

    /// The system in the basis of the eigenvectors of its normal part.
    ///
    /// The skew-symmetric part is brought to three diagonals by reflections and then diagonalised by rotations, all in
    /// real `f64`; no dependency is needed for it.
    ///
    /// # Panics
    ///
    /// If `order` is odd.
    pub fn normal_plus_low_rank(self, order: usize) -> NormalPlusLowRank {
        assert!(order.is_multiple_of(2), "The order is {order}, but an even one is wanted.");
        let System { mut a, b } = self.system(order);
        let columns = self.rank_correction(order);
        for column in &columns {
            for (row, left) in a.chunks_exact_mut(order.max(1)).zip(column) {
                row.iter_mut().zip(column).for_each(|(entry, right)| *entry += left * right);
            }
        }
        // What is left on the diagonal is the same everywhere, but for its rounding.
        (0..order).for_each(|n| a[n * order + n] = 0.0);
        let real = match self {
            Self::LegS => -0.5,
            Self::LegT => 0.0,
        };
        let mut vectors = vec![b];
        vectors.extend(columns);
        let (imaginary, mut vectors) = skew::lower_half(a, vectors);
        let p = vectors.split_off(1);
        NormalPlusLowRank { real, imaginary, b: vectors.remove(0), p }
    }

    /// Says if a system of `order` coefficients of `layer` takes too long to decompose, or has none without a partner.
    pub(crate) fn check(layer: &str, order: usize) -> Result<(), ConfigError> {
        ConfigError::unless(order > 0 && order.is_multiple_of(2) && order <= MAX_ORDER, layer, || {
            format!("d_state = {order}, but for HiPPO an even number from 2 to {MAX_ORDER} is wanted")
        })
    }
}

fn matrix(order: usize, entry: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..order).flat_map(|n| (0..order).map(move |k| (n, k))).map(|(n, k)| entry(n, k)).collect()
}

/// `sqrt(2n + 1)`.
fn root(n: usize) -> f64 {
    ((2 * n + 1) as f64).sqrt()
}

fn legs(n: usize, k: usize) -> f64 {
    match n.cmp(&k) {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => -((n + 1) as f64),
        std::cmp::Ordering::Greater => -root(n) * root(k),
    }
}

fn legt(n: usize, k: usize) -> f64 {
    let sign = if n >= k || (k - n).is_multiple_of(2) { 1.0 } else { -1.0 };
    -0.5 * sign * root(n) * root(k)
}
