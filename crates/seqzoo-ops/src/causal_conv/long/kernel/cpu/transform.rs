//! Real Fourier transforms, planned once per length.

use crate::kernel::cpu::lanes::Real;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, FftNum, RealFftPlanner, RealToComplex};
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// An element that has transforms.
pub(super) trait Spectral: Real + FftNum {
    fn planner() -> &'static Mutex<RealFftPlanner<Self>>;
}

macro_rules! spectral {
    ($($type:ty),*) => {
        $(impl Spectral for $type {
            fn planner() -> &'static Mutex<RealFftPlanner<Self>> {
                static PLANNER: LazyLock<Mutex<RealFftPlanner<$type>>> =
                    LazyLock::new(|| Mutex::new(RealFftPlanner::new()));
                &PLANNER
            }
        })*
    };
}

spectral!(f32, f64);

/// The next even length from `least` on that has no other prime factors than 2, 3 and 5.
pub(super) fn length_from(least: usize) -> usize {
    let mut best = least.max(2).next_power_of_two();
    let mut fives = 1;
    while fives < best {
        let mut odd = fives;
        while odd < best {
            let twos = least.div_ceil(odd).max(2).next_power_of_two();
            best = best.min(odd * twos);
            odd *= 3;
        }
        fives *= 5;
    }
    best
}

/// The transforms of one length, and the memory that they work in.
pub(super) struct Transform<E> {
    forward: Arc<dyn RealToComplex<E>>,
    inverse: Arc<dyn ComplexToReal<E>>,
    scratch: Vec<Complex<E>>,
    length: usize,
}

impl<E: Spectral> Transform<E> {
    pub fn new(length: usize) -> Self {
        // A planner is whole whatever happened to the thread that held it.
        let mut planner = E::planner().lock().unwrap_or_else(PoisonError::into_inner);
        let (forward, inverse) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        Self { forward, inverse, scratch: vec![zero(); scratch], length }
    }

    /// Numbers in a spectrum.
    pub fn frequencies(&self) -> usize {
        self.length / 2 + 1
    }

    /// Zeros, as a spectrum.
    pub fn spectrum(&self) -> Vec<Complex<E>> {
        vec![zero(); self.frequencies()]
    }

    /// The spectrum of `numbers`, which are overwritten.
    pub fn forward(&mut self, numbers: &mut [E], spectrum: &mut [Complex<E>]) {
        let result = self.forward.process_with_scratch(numbers, spectrum, &mut self.scratch);
        result.expect("numbers, spectrum and scratch have the lengths of the plan");
    }

    /// The numbers of `spectrum`, which is overwritten, times the length.
    pub fn inverse(&mut self, spectrum: &mut [Complex<E>], numbers: &mut [E]) {
        // Rounding may leave these two not quite real, which they are of real numbers.
        spectrum[0].im = E::default();
        spectrum[self.length / 2].im = E::default();
        let result = self.inverse.process_with_scratch(spectrum, numbers, &mut self.scratch);
        result.expect("numbers, spectrum and scratch have the lengths of the plan");
    }
}

/// A spectrum for each channel of a tile.
pub(super) struct Spectra<E> {
    numbers: Vec<Complex<E>>,
    frequencies: usize,
}

impl<E: Spectral> Spectra<E> {
    pub fn zeros(transform: &Transform<E>, channels: usize) -> Self {
        let frequencies = transform.frequencies();
        Self { numbers: vec![zero(); channels * frequencies], frequencies }
    }

    /// Those of the first `taps` taps of `filter`, `[d, stride]`, over the length: what is multiplied by them needs no more
    /// scaling.
    pub fn of_filter(
        transform: &mut Transform<E>,
        filter: &[E],
        stride: usize,
        taps: usize,
        channels: Range<usize>,
    ) -> Self {
        let mut spectra = Self::zeros(transform, channels.len());
        let mut numbers = vec![E::default(); transform.length];
        let scale = <E as Real>::from_f64(1.0 / transform.length as f64);
        for (index, channel) in channels.enumerate() {
            numbers[taps..].fill(E::default());
            let filter = &filter[channel * stride..][..taps];
            numbers.iter_mut().zip(filter).for_each(|(number, tap)| *number = *tap * scale);
            transform.forward(&mut numbers, spectra.of_mut(index));
        }
        spectra
    }

    pub fn of(&self, index: usize) -> &[Complex<E>] {
        &self.numbers[index * self.frequencies..][..self.frequencies]
    }

    pub fn of_mut(&mut self, index: usize) -> &mut [Complex<E>] {
        &mut self.numbers[index * self.frequencies..][..self.frequencies]
    }
}

fn zero<E: Real>() -> Complex<E> {
    Complex { re: E::default(), im: E::default() }
}

/// `a *= b`.
#[inline(always)]
pub(super) fn multiply<E: Real>(a: &mut [Complex<E>], b: &[Complex<E>]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = Complex { re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re };
    }
}

/// `a *= b*`.
#[inline(always)]
pub(super) fn multiply_conjugate<E: Real>(a: &mut [Complex<E>], b: &[Complex<E>]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = Complex { re: a.re * b.re + a.im * b.im, im: a.im * b.re - a.re * b.im };
    }
}

/// `sum += a* b`.
#[inline(always)]
pub(super) fn add_product<E: Real>(sum: &mut [Complex<E>], a: &[Complex<E>], b: &[Complex<E>]) {
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        sum.re += a.re * b.re + a.im * b.im;
        sum.im += a.re * b.im - a.im * b.re;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_even_and_smooth_and_no_shorter_one_is() {
        let smooth = |mut n: usize| {
            for prime in [2, 3, 5] {
                while n.is_multiple_of(prime) {
                    n /= prime;
                }
            }
            n == 1
        };
        for least in 1..3000 {
            let wanted = (least.max(2)..).find(|n: &usize| n.is_multiple_of(2) && smooth(*n)).unwrap();
            assert_eq!(length_from(least), wanted);
        }
    }
}
