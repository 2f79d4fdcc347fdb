//! A batch with resets, of rows or of segments, and what both passes over it make of it, on every kind of processor.

use super::chunks::Cut;
use super::division::Division;
use super::extents::Extents;
use super::sequence::{Decay, Sequence};
use super::tokens::{Layout, Tokens, TokensMut};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::{Output, filled, room};
use crate::kernel::cpu::processor_kinds::{Here, Narrow, Plain, Runner, numbers};
use crate::segments::Segments;
use std::mem::MaybeUninit;

pub(crate) const EXTENTS: Extents = Extents { batch: 2, time: 75, heads: 4, key: 19, value: 21 };

/// An upper bound of a padded row.
pub(crate) const PADDED: usize = 64;

/// How a case decays and how many heads share keys. Where some do, the rows are cut into segments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Channels of the decay.
    pub decay: Option<usize>,
    pub key_heads: usize,
    /// Channels of beta.
    pub beta: usize,
}

impl Kind {
    pub fn all() -> Vec<Self> {
        let decays = [None, Some(1), Some(EXTENTS.key)];
        let kinds = |key_heads| {
            let pairs = decays.map(|decay| [1, EXTENTS.value].map(|beta| Self { decay, key_heads, beta }));
            pairs.into_iter().flatten()
        };
        kinds(EXTENTS.heads).chain(kinds(EXTENTS.heads / 2)).collect()
    }
}

/// Numbers of a batch.
pub(crate) struct Batch<E> {
    query: Vec<E>,
    key: Vec<E>,
    value: Vec<E>,
    decay: Vec<E>,
    beta: Vec<E>,
    upstream: Vec<E>,
    pub memory: Vec<E>,
    pub upstream_memory: Vec<E>,
    pub cut: Cut,
    kind: Kind,
}

impl<E: Real> Batch<E> {
    pub fn new(kind: Kind) -> Self {
        let Extents { batch, time, heads, key, value } = EXTENTS;
        let segments = (kind.key_heads < heads).then(|| Segments::new(time, [vec![5, 0, 70], vec![time]]));
        let sequences = segments.as_ref().map_or(batch, Segments::count);
        let (tokens, memories) = (batch * time, sequences * heads * EXTENTS.memory());
        let positive = |count, seed, factor| -> Vec<E> {
            let all = numbers::<E>(count, seed).into_iter();
            all.map(|number| E::from_f64(factor) * (number + E::ONE)).collect()
        };
        // Short enough that no memory grows: 19 squares below 0.05.
        let keys = numbers::<E>(tokens * kind.key_heads * key, 2.0).into_iter();
        let mut resets = vec![E::default(); batch * time];
        resets[40] = E::ONE;
        Self {
            query: numbers(tokens * kind.key_heads * key, 1.0),
            key: keys.map(|key| key * E::from_f64(0.22)).collect(),
            value: numbers(tokens * heads * value, 3.0),
            decay: positive(tokens * kind.key_heads * kind.decay.unwrap_or(1), 4.0, -0.5),
            beta: positive(tokens * heads * kind.beta, 8.0, 0.9),
            upstream: numbers(tokens * heads * value, 6.0),
            memory: numbers(memories, 5.0),
            upstream_memory: numbers(memories, 7.0),
            cut: Cut::new(&EXTENTS, Some(&resets), segments.as_ref()),
            kind,
        }
    }

    pub fn sequence(&self) -> Sequence<'_, E> {
        let Extents { batch, time, heads, .. } = EXTENTS;
        let (query, key) = (tokens(&self.query, self.kind.key_heads), tokens(&self.key, self.kind.key_heads));
        let decay = match self.kind.decay {
            None => Decay::none(),
            Some(channels) => Decay::new(&self.decay, [batch, time, self.kind.key_heads, channels], heads),
        };
        let scale = E::from_f64(0.3);
        Sequence { extents: EXTENTS, query, key, value: tokens(&self.value, heads), decay, scale }
    }

    pub fn beta(&self) -> Tokens<'_, E> {
        tokens(&self.beta, EXTENTS.heads)
    }

    pub fn upstream(&self) -> Tokens<'_, E> {
        tokens(&self.upstream, EXTENTS.heads)
    }
}

/// Numbers of tokens with `heads` heads.
pub(crate) fn tokens<E>(numbers: &[E], heads: usize) -> Tokens<'_, E> {
    Tokens { numbers, layout: layout(numbers.len(), heads) }
}

fn layout(length: usize, heads: usize) -> Layout {
    let channels = length / (EXTENTS.batch * EXTENTS.time * heads);
    Layout::new([EXTENTS.batch, EXTENTS.time, heads, channels], EXTENTS.heads)
}

/// Room in the shape of some tokens.
pub(crate) struct TokenRoom<E>(Box<[MaybeUninit<E>]>, Layout);

impl<E: Real> TokenRoom<E> {
    pub fn like(tokens: Tokens<'_, E>) -> Self {
        Self(room(tokens.numbers.len()), tokens.layout)
    }

    pub fn tokens(&mut self) -> TokensMut<'_, E> {
        TokensMut { output: Output::new(&mut self.0), layout: self.1 }
    }

    /// # Safety
    ///
    /// A pass must have filled it.
    pub unsafe fn filled(self) -> Vec<E> {
        // SAFETY: as the caller promises.
        unsafe { filled(self.0) }
    }
}

/// Room for the gradient of the decay.
pub(crate) fn decay_room<E: Real>(batch: &Batch<E>) -> Option<TokenRoom<E>> {
    batch.kind.decay.map(|_| TokenRoom::like(tokens(&batch.decay, batch.kind.key_heads)))
}

/// An operator's two passes over a batch.
pub(crate) trait Passes {
    /// Outputs, final memories and all gradients, each pass run through `run`.
    fn outcome<E: Real>(kind: Kind, division: Division, run: impl Runner) -> Vec<Vec<E>>;
}

fn check<E: Real, P: Passes>(tolerance: f64, runner: impl Runner) {
    for kind in Kind::all() {
        let wanted = P::outcome::<E>(kind, Division::Heads, Plain);
        for division in [Division::Heads, Division::Chunks] {
            let found = P::outcome::<E>(kind, division, runner);
            for (index, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                assert_eq!(found.len(), wanted.len());
                for (found, wanted) in found.iter().zip(wanted) {
                    let difference: f64 = (*found - *wanted).into_f64();
                    assert!(difference.abs() < tolerance, "{kind:?}, tensor {index}: {difference:e}");
                }
            }
        }
    }
}

/// Every kind of processor that this one can stand in for computes the same.
pub(crate) fn check_all<P: Passes>() {
    check::<f32, P>(1e-4, Here);
    check::<f64, P>(1e-12, Here);
    check::<f64, P>(f64::MIN_POSITIVE, Plain);
    check::<f32, P>(1e-4, Narrow);
    check::<f64, P>(1e-12, Narrow);
}
