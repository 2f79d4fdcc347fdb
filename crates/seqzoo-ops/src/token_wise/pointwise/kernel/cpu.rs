//! The kernel on Burn's Flex backend: one pass over the numbers, on all cores.
#![allow(unsafe_code, reason = "passes fill tensors in parallel")]

use super::{Inputs, Outputs, PointwiseBackend, Saved};
use crate::kernel::cpu::channels::room::Room;
use crate::kernel::cpu::channels::rows::lanes_of;
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::functions::{sigmoid, softplus};
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::cpu::vectorized::vectorized;
use crate::kernel::tensors::Maybe;
use crate::token_wise::pointwise::Function;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use pulp::{Arch, Simd, WithSimd};

/// Numbers of a task: those of its arrays stay in a core's cache.
const AT_ONCE: usize = 8192;

impl PointwiseBackend for Flex {
    fn pointwise(inputs: Inputs<Self>, function: Function) -> Outputs<Self> {
        let inputs = contiguous(inputs);
        match inputs.x.dtype() {
            DType::F64 => forward::<f64>(&inputs, function),
            _ => forward::<f32>(&inputs, function),
        }
    }

    fn pointwise_forward(inputs: Inputs<Self>, function: Function) -> (Outputs<Self>, Saved<Self>) {
        let inputs = contiguous(inputs);
        (Self::pointwise(inputs.clone(), function), inputs)
    }

    fn pointwise_vjp(saved: Saved<Self>, upstream: Outputs<Self>, function: Function) -> Inputs<Self> {
        let upstream = upstream.output.to_contiguous();
        match upstream.dtype() {
            DType::F64 => backward::<f64>(&saved, &upstream, function),
            _ => backward::<f32>(&saved, &upstream, function),
        }
    }
}

fn contiguous(Inputs { x, y }: Inputs<Flex>) -> Inputs<Flex> {
    let y = y.into_option().map(|y: FlexTensor| y.to_contiguous());
    Inputs { x: x.to_contiguous(), y: Maybe::new(y) }
}

/// The second argument; the first one again for functions of one, which do not look at it.
fn second<E: Real + Element>(inputs: &Inputs<Flex>) -> &[E] {
    match &inputs.y {
        Maybe::Absent => numbers(&inputs.x),
        Maybe::Present(y) => numbers(y),
    }
}

fn forward<E: Real + Element>(inputs: &Inputs<Flex>, function: Function) -> Outputs<Flex> {
    let mut output = Room::<E>::new(inputs.x.shape());
    let (x, y) = (numbers(&inputs.x), second(inputs));
    Arch::new().dispatch(Pass { function, x, y, to: To::Values(output.output()) });
    // SAFETY: the pass fills the values of all numbers.
    Outputs { output: unsafe { output.filled() } }
}

fn backward<E: Real + Element>(
    inputs: &Inputs<Flex>,
    upstream: &FlexTensor,
    function: Function,
) -> Inputs<Flex> {
    let two = matches!(inputs.y, Maybe::Present(_));
    let mut d_x = Room::<E>::new(inputs.x.shape());
    let mut d_y = two.then(|| Room::<E>::new(inputs.x.shape()));
    let (x, y) = (numbers(&inputs.x), second(inputs));
    let to =
        To::Gradients { upstream: numbers(upstream), d_x: d_x.output(), d_y: d_y.as_mut().map(Room::output) };
    Arch::new().dispatch(Pass { function, x, y, to });
    // SAFETY: the pass fills the gradients of all numbers.
    unsafe { Inputs { x: d_x.filled(), y: Maybe::new(d_y.map(|d_y| d_y.filled())) } }
}

/// A pass over all numbers.
#[derive(Clone, Copy)]
struct Pass<'a, E> {
    function: Function,
    x: &'a [E],
    y: &'a [E],
    to: To<'a, E>,
}

/// What it makes.
#[derive(Clone, Copy)]
enum To<'a, E> {
    Values(Output<'a, E>),
    Gradients { upstream: &'a [E], d_x: Output<'a, E>, d_y: Option<Output<'a, E>> },
}

impl<E: Real> WithSimd for Pass<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let tasks = self.x.len().div_ceil(AT_ONCE);
        each(
            tasks,
            self.x.len(),
            || (),
            |(), task| {
                let first = task * AT_ONCE;
                let part = Part { pass: self, first, count: AT_ONCE.min(self.x.len() - first) };
                match self.function {
                    Function::SwiGlu => vectorized(simd, Run { part, function: SwiGlu }),
                    Function::EluPlusOne => vectorized(simd, Run { part, function: EluPlusOne }),
                    Function::SquaredRelu => vectorized(simd, Run { part, function: SquaredRelu }),
                    Function::LogSigmoid { scale, least } => {
                        vectorized(simd, Run { part, function: LogSigmoid { scale, least } });
                    }
                }
            },
        );
    }
}

/// Neighbouring numbers of a pass.
#[derive(Clone, Copy)]
struct Part<'a, E> {
    pass: Pass<'a, E>,
    first: usize,
    count: usize,
}

struct Run<'a, E, F> {
    part: Part<'a, E>,
    function: F,
}

impl<E: Real, F: Formula> WithSimd for Run<'_, E, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Part { pass: Pass { x, y, to, .. }, first, count } = self.part;
        let lanes = lanes::<S, E>();
        let mut done = 0;
        while done < count {
            let place = first + done;
            let width = lanes.min(count - done);
            let at = |numbers: &[E]| -> E::Vector<S> {
                if width == lanes {
                    E::vectors::<S>(&numbers[place..place + lanes])[0]
                } else {
                    E::load(simd, &numbers[place..place + width])
                }
            };
            let (a, b) = (at(x), at(y));
            match to {
                // SAFETY: these numbers are this task's alone.
                To::Values(output) => unsafe {
                    put::<S, E>(&output, place, width, self.function.value::<S, E>(simd, a, b));
                },
                To::Gradients { upstream, d_x, d_y } => {
                    let above = at(upstream);
                    let [of_x, of_y] = self.function.slopes::<S, E>(simd, a, b);
                    // SAFETY: as above.
                    unsafe {
                        put::<S, E>(&d_x, place, width, E::times(simd, of_x, above));
                        if let Some(d_y) = &d_y {
                            put::<S, E>(d_y, place, width, E::times(simd, of_y, above));
                        }
                    }
                }
            }
            done += width;
        }
    }
}

/// Writes the first `width` lanes of `vector`.
///
/// # Safety
///
/// No other thread may write or read these elements meanwhile.
#[inline(always)]
unsafe fn put<S: Simd, E: Real>(output: &Output<'_, E>, place: usize, width: usize, vector: E::Vector<S>) {
    let vector = [vector];
    let numbers = lanes_of::<S, E>(&vector);
    // SAFETY: as the caller promises.
    unsafe {
        if width == lanes::<S, E>() {
            output.write(place, &numbers[..lanes::<S, E>()]);
        } else {
            output.write(place, &numbers[..width]);
        }
    }
}

/// A function of two numbers, and its slopes in both.
trait Formula: Copy {
    fn value<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>, y: E::Vector<S>) -> E::Vector<S>;

    fn slopes<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>, y: E::Vector<S>) -> [E::Vector<S>; 2];
}

#[derive(Clone, Copy)]
struct SwiGlu;

impl Formula for SwiGlu {
    #[inline(always)]
    fn value<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>, y: E::Vector<S>) -> E::Vector<S> {
        E::times(simd, E::times(simd, x, sigmoid::<S, E>(simd, x)), y)
    }

    /// `silu' = σ (1 + x (1 − σ))`.
    #[inline(always)]
    fn slopes<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>, y: E::Vector<S>) -> [E::Vector<S>; 2] {
        let (one, gate) = (E::splat(simd, E::ONE), sigmoid::<S, E>(simd, x));
        let slope = E::times(simd, gate, E::mul_add(simd, x, E::minus(simd, one, gate), one));
        [E::times(simd, slope, y), E::times(simd, x, gate)]
    }
}

#[derive(Clone, Copy)]
struct EluPlusOne;

impl Formula for EluPlusOne {
    #[inline(always)]
    fn value<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>, _: E::Vector<S>) -> E::Vector<S> {
        let (zero, one) = (E::splat(simd, E::default()), E::splat(simd, E::ONE));
        let below = E::exp(simd, E::lesser(simd, x, zero));
        E::if_less(simd, x, zero, below, E::plus(simd, x, one))
    }

    #[inline(always)]
    fn slopes<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>, _: E::Vector<S>) -> [E::Vector<S>; 2] {
        let zero = E::splat(simd, E::default());
        [E::exp(simd, E::lesser(simd, x, zero)), zero]
    }
}

#[derive(Clone, Copy)]
struct SquaredRelu;

impl Formula for SquaredRelu {
    #[inline(always)]
    fn value<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>, _: E::Vector<S>) -> E::Vector<S> {
        let zero = E::splat(simd, E::default());
        E::if_less(simd, x, zero, zero, E::times(simd, x, x))
    }

    #[inline(always)]
    fn slopes<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>, _: E::Vector<S>) -> [E::Vector<S>; 2] {
        let zero = E::splat(simd, E::default());
        [E::if_less(simd, x, zero, zero, E::plus(simd, x, x)), zero]
    }
}

#[derive(Clone, Copy)]
struct LogSigmoid {
    scale: f64,
    least: f64,
}

impl LogSigmoid {
    /// Before the bound.
    #[inline(always)]
    fn unbounded<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>) -> E::Vector<S> {
        let negative = E::minus(simd, E::splat(simd, E::default()), x);
        E::times(simd, softplus::<S, E>(simd, negative), E::splat(simd, E::from_f64(-self.scale)))
    }
}

impl Formula for LogSigmoid {
    #[inline(always)]
    fn value<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>, _: E::Vector<S>) -> E::Vector<S> {
        let log = self.unbounded::<S, E>(simd, x);
        let least = E::splat(simd, E::from_f64(self.least));
        E::if_less(simd, log, least, least, log)
    }

    /// `(ln σ)' = σ(−x)`, and 0 where the bound counts.
    #[inline(always)]
    fn slopes<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>, _: E::Vector<S>) -> [E::Vector<S>; 2] {
        let zero = E::splat(simd, E::default());
        let gate = sigmoid::<S, E>(simd, E::minus(simd, zero, x));
        let slope = E::times(simd, gate, E::splat(simd, E::from_f64(self.scale)));
        let log = self.unbounded::<S, E>(simd, x);
        [E::if_less(simd, log, E::splat(simd, E::from_f64(self.least)), zero, slope), zero]
    }
}
