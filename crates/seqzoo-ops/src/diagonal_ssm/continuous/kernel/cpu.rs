//! The kernel on Burn's Flex backend.
#![allow(unsafe_code, reason = "tasks fill tensors in parallel")]

use super::super::options::MIN_DECAY;
use super::super::{Discretisation, RealTransform};
use super::{ContinuousSsmBackend, Inputs, Outputs, Settings};
use crate::diagonal_ssm::kernel::cpu::parts::{Parts, over, reciprocal, times};
use crate::kernel::cpu::channels::room::Room;
use crate::kernel::cpu::channels::rows::lanes_of;
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::functions::softplus;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::cpu::vectorized::vectorized;
use crate::kernel::tensors::Maybe;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use pulp::{Arch, Simd, WithSimd};

/// Complex numbers of a task.
const NUMBERS: usize = 512;

impl ContinuousSsmBackend for Flex {
    fn discretised(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        let whole = |tensor: FlexTensor| tensor.to_contiguous();
        let inputs = Inputs::<Self> {
            log_dt: whole(inputs.log_dt),
            a_real: whole(inputs.a_real),
            a_imag: whole(inputs.a_imag),
            c: whole(inputs.c),
            b: Maybe::new(inputs.b.into_option().map(whole)),
        };
        match inputs.c.dtype() {
            DType::F64 => run::<f64>(&inputs, settings),
            _ => run::<f32>(&inputs, settings),
        }
    }
}

fn run<E: Real + Element>(inputs: &Inputs<Flex>, settings: Settings) -> Outputs<Flex> {
    let shape = inputs.a_real.shape();
    let [_, size] = shape.dims();
    let mut rooms = [(); 4].map(|()| Room::<E>::new(shape.clone()));
    let [eigenvalues_re, eigenvalues_im, weights_re, weights_im] = &mut rooms;
    let b = match &inputs.b {
        Maybe::Absent => None,
        Maybe::Present(b) => Some(numbers::<E>(b)),
    };
    Arch::new().dispatch(Pass {
        settings,
        size,
        log_dt: numbers(&inputs.log_dt),
        a_real: numbers(&inputs.a_real),
        a_imag: numbers(&inputs.a_imag),
        b,
        c: numbers(&inputs.c),
        eigenvalues: Parts { re: eigenvalues_re.output(), im: eigenvalues_im.output() },
        weights: Parts { re: weights_re.output(), im: weights_im.output() },
    });
    // SAFETY: the pass fills all four.
    let [eigenvalues_re, eigenvalues_im, weights_re, weights_im] = rooms.map(|room| unsafe { room.filled() });
    Outputs { eigenvalues_re, eigenvalues_im, weights_re, weights_im }
}

/// All numbers of all channels in a row.
struct Pass<'a, E> {
    settings: Settings,
    size: usize,
    log_dt: &'a [E],
    a_real: &'a [E],
    a_imag: &'a [E],
    b: Option<&'a [E]>,
    c: &'a [E],
    eigenvalues: Parts<Output<'a, E>>,
    weights: Parts<Output<'a, E>>,
}

impl<E: Real> WithSimd for Pass<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let count = self.a_real.len();
        // Two complex divisions, exponentials, a sine and a cosine take as long as a few moves of a state.
        each(count.div_ceil(NUMBERS), 3 * count, Scratch::default, |scratch, task| {
            let first = task * NUMBERS;
            let length = NUMBERS.min(count - first);
            vectorized(simd, Run { pass: &self, scratch, first, length });
        });
    }
}

/// A row of numbers per vector that a task needs, in the order of the numbers.
struct Scratch<E> {
    log_dt: Vec<E>,
    b: Parts<Vec<E>>,
    c: Parts<Vec<E>>,
}

impl<E: Real> Default for Scratch<E> {
    fn default() -> Self {
        let row = || vec![E::default(); NUMBERS];
        let rows = || Parts { re: row(), im: row() };
        Self { log_dt: row(), b: rows(), c: rows() }
    }
}

struct Run<'a, 'b, E> {
    pass: &'a Pass<'b, E>,
    scratch: &'a mut Scratch<E>,
    first: usize,
    length: usize,
}

impl<E: Real> WithSimd for Run<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, scratch, first, length } = self;
        spread(pass.log_dt, pass.size, first, &mut scratch.log_dt[..length]);
        split(&pass.c[2 * first..][..2 * length], &mut scratch.c);
        if let Some(b) = pass.b {
            split(&b[2 * first..][..2 * length], &mut scratch.b);
        }
        for from in (0..length).step_by(lanes::<S, E>()) {
            let to = length.min(from + lanes::<S, E>());
            // Fewer numbers are loaded and written by a function.
            let whole = to - from == lanes::<S, E>();
            let load = |numbers: &[E], at: usize| {
                let some = &numbers[at + from..at + to];
                if whole { E::vectors::<S>(some)[0] } else { E::load(simd, some) }
            };
            let pair = |rows: &Parts<Vec<E>>| Parts { re: load(&rows.re, 0), im: load(&rows.im, 0) };
            let [eigenvalue, input] = discretised::<S, E>(
                simd,
                pass.settings,
                load(&scratch.log_dt, 0),
                load(pass.a_real, first),
                load(pass.a_imag, first),
            );
            let mut weight = times::<S, E>(simd, pair(&scratch.c), input);
            if pass.b.is_some() {
                weight = times::<S, E>(simd, weight, pair(&scratch.b));
            }
            let weight = weight.map(|part| E::plus(simd, part, part));
            for (outputs, parts) in [(&pass.eigenvalues, eigenvalue), (&pass.weights, weight)] {
                for (output, part) in [(&outputs.re, parts.re), (&outputs.im, parts.im)] {
                    let part = [part];
                    let part = lanes_of::<S, E>(&part);
                    // SAFETY: these numbers are this task's alone.
                    unsafe {
                        if whole {
                            output.write(first + from, &part[..lanes::<S, E>()]);
                        } else {
                            output.write(first + from, &part[..to - from]);
                        }
                    }
                }
            }
        }
    }
}

/// What the numbers from `first` on have of their channels, each of `size` numbers.
#[inline(always)]
fn spread<E: Real>(of_channels: &[E], size: usize, first: usize, to: &mut [E]) {
    let mut channel = first / size;
    let mut end = (channel + 1) * size - first;
    let mut begin = 0;
    while begin < to.len() {
        end = end.min(to.len());
        to[begin..end].fill(of_channels[channel]);
        (channel, begin, end) = (channel + 1, end, end + size);
    }
}

/// Pairs of real and imaginary parts as two rows.
#[inline(always)]
fn split<E: Real>(pairs: &[E], rows: &mut Parts<Vec<E>>) {
    let Parts { re, im } = rows;
    for ((pair, re), im) in pairs.as_chunks::<2>().0.iter().zip(re).zip(im) {
        [*re, *im] = *pair;
    }
}

/// `λ` and `B̄/B`.
#[inline(always)]
fn discretised<S: Simd, E: Real>(
    simd: S,
    settings: Settings,
    log_dt: E::Vector<S>,
    a_real: E::Vector<S>,
    a_imag: E::Vector<S>,
) -> [Parts<E::Vector<S>>; 2] {
    let splat = |number| E::splat(simd, E::from_f64(number));
    let (zero, one, half) = (splat(0.0), splat(1.0), splat(0.5));
    let decay = match settings.real_transform {
        RealTransform::Exp => E::exp(simd, a_real),
        RealTransform::Relu => E::plus(simd, E::if_less(simd, a_real, zero, zero, a_real), splat(MIN_DECAY)),
        RealTransform::Softplus => softplus::<S, E>(simd, a_real),
    };
    // One over it is finite, too.
    let least = splat(if size_of::<E>() == 4 { f32::MIN_POSITIVE.into() } else { f64::MIN_POSITIVE });
    let decay = E::if_less(simd, decay, least, least, decay);
    let a = Parts { re: E::minus(simd, zero, decay), im: a_imag };
    let step = E::exp(simd, log_dt);
    let scaled = a.map(|part| E::times(simd, part, step));
    let halved = scaled.map(|part| E::times(simd, part, half));
    match settings.discretisation {
        Discretisation::ZeroOrderHold => {
            // cos y - 1 = -2 sin^2(y/2) and sin y = 2 sin(y/2) cos(y/2).
            let [sine, cosine] = E::sin_cos(simd, halved.im);
            let twice = E::plus(simd, sine, sine);
            let cosine_less_one = E::minus(simd, zero, E::times(simd, twice, sine));
            let unit = Parts { re: E::plus(simd, one, cosine_less_one), im: E::times(simd, twice, cosine) };
            let length = E::exp(simd, scaled.re);
            let eigenvalue = unit.map(|part| E::times(simd, length, part));
            let less = E::exp_m1(simd, scaled.re);
            let above = Parts { re: E::mul_add(simd, less, unit.re, cosine_less_one), im: eigenvalue.im };
            [eigenvalue, over::<S, E>(simd, above, a)]
        }
        Discretisation::Bilinear => {
            let below = Parts { re: E::minus(simd, one, halved.re), im: E::minus(simd, zero, halved.im) };
            let inverse = reciprocal::<S, E>(simd, below);
            let above = Parts { re: E::plus(simd, one, halved.re), im: halved.im };
            [times::<S, E>(simd, above, inverse), inverse.map(|part| E::times(simd, part, step))]
        }
    }
}
