//! The kernel on Burn's Flex backend: token by token, on all cores.
#![allow(unsafe_code, reason = "passes fill tensors in parallel")]

use super::{Angles, Inputs, Outputs, RotaryBackend, RotaryLayout, Saved};
use crate::kernel::cpu::channels::room::Room;
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::cpu::vectorized::vectorized;
use crate::kernel::tensors::Maybe;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use pulp::{Arch, Simd, WithSimd};

/// Numbers of a task, about.
const AT_ONCE: usize = 16_384;

impl RotaryBackend for Flex {
    fn rotary(Inputs { tokens, cos, sin }: Inputs<Self>, layout: RotaryLayout) -> Outputs<Self> {
        turned(&tokens, &angles(cos, sin), layout, false)
    }

    fn rotary_forward(
        Inputs { tokens, cos, sin }: Inputs<Self>,
        layout: RotaryLayout,
    ) -> (Outputs<Self>, Saved<Self>) {
        let angles = angles(cos, sin);
        (turned(&tokens, &angles, layout, false), angles)
    }

    fn rotary_vjp(saved: Saved<Self>, upstream: Outputs<Self>, layout: RotaryLayout) -> Inputs<Self> {
        let Outputs { output } = turned(&upstream.output, &saved, layout, true);
        Inputs { tokens: output, cos: Maybe::Absent, sin: Maybe::Absent }
    }
}

fn angles(cos: Maybe<Flex>, sin: Maybe<Flex>) -> Angles<Flex> {
    let [cos, sin] = [cos, sin].map(|table| {
        let table: FlexTensor = table.into_option().expect("a rotation has its angles");
        table.to_contiguous()
    });
    Angles { cos, sin }
}

fn turned(tokens: &FlexTensor, angles: &Angles<Flex>, layout: RotaryLayout, back: bool) -> Outputs<Flex> {
    let tokens = tokens.to_contiguous();
    match tokens.dtype() {
        DType::F64 => pass::<f64>(&tokens, angles, layout, back),
        _ => pass::<f32>(&tokens, angles, layout, back),
    }
}

fn pass<E: Real + Element>(
    tokens: &FlexTensor,
    Angles { cos, sin }: &Angles<Flex>,
    layout: RotaryLayout,
    back: bool,
) -> Outputs<Flex> {
    let [_, _, heads, channels] = tokens.shape().dims();
    let [_, _, _, half] = cos.shape().dims();
    let mut output = Room::<E>::new(tokens.shape());
    Arch::new().dispatch(Pass {
        tokens: numbers::<E>(tokens),
        cos: numbers(cos),
        sin: numbers(sin),
        output: output.output(),
        heads,
        channels,
        half,
        layout,
        sign: if back { E::from_f64(-1.0) } else { E::ONE },
    });
    // SAFETY: the pass fills all tokens.
    Outputs { output: unsafe { output.filled() } }
}

/// The whole pass.
#[derive(Clone, Copy)]
struct Pass<'a, E> {
    tokens: &'a [E],
    cos: &'a [E],
    sin: &'a [E],
    output: Output<'a, E>,
    heads: usize,
    channels: usize,
    half: usize,
    layout: RotaryLayout,
    /// -1 to turn the other way.
    sign: E,
}

impl<E: Real> WithSimd for Pass<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let token = self.heads * self.channels;
        let (tokens, at_once) = (self.tokens.len() / token, (AT_ONCE / token).max(1));
        let room = || vec![E::default(); self.channels];
        each(tokens.div_ceil(at_once), self.tokens.len(), room, |head, task| {
            let first = task * at_once;
            let last = tokens.min(first + at_once);
            vectorized(simd, Run { pass: self, head, tokens: first..last });
        });
    }
}

struct Run<'a, 'b, E> {
    pass: Pass<'a, E>,
    /// Room for the channels of a head.
    head: &'b mut [E],
    tokens: std::ops::Range<usize>,
}

impl<E: Real> WithSimd for Run<'_, '_, E> {
    type Output = ();

    /// Loops over numbers, of which the compiler makes vectors.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Pass { tokens, cos, sin, output, heads, channels, half, layout, sign } = self.pass;
        let turned = self.head;
        for token in self.tokens {
            // All sequences turn alike where there are angles for one.
            let angle = token * half % cos.len();
            let (cos, sin) = (&cos[angle..][..half], &sin[angle..][..half]);
            for head in 0..heads {
                let place = (token * heads + head) * channels;
                let from = &tokens[place..][..channels];
                match layout {
                    RotaryLayout::HalfSplit => {
                        let (first, second) = (&from[..half], &from[half..][..half]);
                        let (a, rest) = turned.split_at_mut(half);
                        let b = &mut rest[..half];
                        for pair in 0..half {
                            let sine = sign * sin[pair];
                            a[pair] = first[pair] * cos[pair] - second[pair] * sine;
                            b[pair] = second[pair] * cos[pair] + first[pair] * sine;
                        }
                    }
                    RotaryLayout::Interleaved => {
                        for pair in 0..half {
                            let (first, second) = (from[2 * pair], from[2 * pair + 1]);
                            let sine = sign * sin[pair];
                            turned[2 * pair] = first * cos[pair] - second * sine;
                            turned[2 * pair + 1] = second * cos[pair] + first * sine;
                        }
                    }
                }
                turned[2 * half..].copy_from_slice(&from[2 * half..]);
                // SAFETY: this token is this task's alone.
                unsafe { output.write(place, turned) };
            }
        }
    }
}
