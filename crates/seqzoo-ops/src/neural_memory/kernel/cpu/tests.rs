//! The kernel gives the same on every kind of processor that this one can stand in for.

use super::super::tokens::Layers;
use super::backward::Backward;
use super::forward::{Forward, Save};
use super::gates::Gates;
use super::layout::Layout;
use super::plan::Plan;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::{Output, filled, room};
use crate::kernel::cpu::processor_kinds::{Here, Narrow, Plain, Runner, numbers, room_of};
use crate::kernel::cpu::relay::relay;
use crate::matrix_memory::kernel::cpu::tokens::{self, Tokens, TokensMut};
use pulp::{Simd, WithSimd};

const TIME: usize = 160;
const HEADS: usize = 3;
const KEY: usize = 5;
const VALUE: usize = 9;

/// A forward and a backward pass over two sequences, one in the middle of a chunk and one with resets; all that they fill.
struct Both<'a, E> {
    layers: Layers,
    found: &'a mut Vec<Vec<E>>,
}

fn shape(channels: usize) -> tokens::Layout {
    tokens::Layout::new([2, TIME, HEADS, channels], HEADS)
}

fn size(channels: usize) -> usize {
    2 * TIME * HEADS * channels
}

impl<E: Real> WithSimd for Both<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let layout = Layout::new::<S, E>(&self.layers);
        let memory = self.layers.numbers() * 2 * HEADS;
        let mut resets = vec![E::default(); 2 * TIME];
        [TIME, TIME + 1, TIME + 40].into_iter().for_each(|token| resets[token] = E::ONE);
        let plan = Plan::new([HEADS, TIME], 70, &[67, 2], Some(&resets));

        let drawn = |channels, seed| numbers::<E>(size(channels), seed);
        let [query, key, value] = [drawn(KEY, 1.0), drawn(KEY, 2.0), drawn(VALUE, 3.0)];
        let gate = |seed, most: f64| -> Vec<E> {
            drawn(1, seed).into_iter().map(|x| E::from_f64(most * (0.5 + 0.5 * x.into_f64()))).collect()
        };
        let [forget, momentum, step] = [gate(4.0, 1.0), gate(5.0, 1.0), gate(6.0, 0.02)];
        let [before, initial] = [numbers::<E>(3 * memory, 7.0), numbers::<E>(memory, 8.0)];
        let [upstream, upstream_memory] = [drawn(VALUE, 9.0), numbers::<E>(3 * memory, 10.0)];
        let gates = || Gates {
            forget: Tokens { numbers: &forget, layout: shape(1) },
            momentum: Tokens { numbers: &momentum, layout: shape(1) },
            step: Tokens { numbers: &step, layout: shape(1) },
        };
        let [query, key, value] = [(&query, KEY), (&key, KEY), (&value, VALUE)]
            .map(|(numbers, channels)| Tokens { numbers, layout: shape(channels) });

        let mut output = room(size(VALUE));
        let mut last = room(3 * memory);
        let mut states = room(plan.all_blocks() * layout.slot());
        let mut tokens = room(2 * TIME * HEADS * layout.saved_width());
        let forward = Forward {
            layout: layout.clone(),
            plan: &plan,
            query,
            key,
            value,
            gates: gates(),
            memory: &before,
            initial: &initial,
            output: TokensMut { output: Output::new(&mut output), layout: shape(VALUE) },
            last: Output::new(&mut last),
            save: Some(Save { states: Output::new(&mut states), tokens: Output::new(&mut tokens) }),
        };
        relay(simd, &forward, 1);
        // SAFETY: the pass fills them.
        let [output, last, states, tokens] =
            unsafe { [output, last, states, tokens].map(|room| filled(room)) };

        let mut gradients = [KEY, KEY, VALUE, 1, 1, 1].map(|channels| room(size(channels)));
        let [d_query, d_key, d_value, d_forget, d_momentum, d_step] = &mut gradients;
        let (mut d_memory, mut d_initial) = (room(3 * memory), room_of(vec![E::default(); memory]));
        let filling = |room, channels| TokensMut { output: Output::new(room), layout: shape(channels) };
        let backward = Backward {
            layout,
            plan: &plan,
            query,
            key,
            gates: gates(),
            memory: &before,
            states: &states,
            tokens: &tokens,
            upstream: Tokens { numbers: &upstream, layout: shape(VALUE) },
            upstream_memory: &upstream_memory,
            d_query: filling(d_query, KEY),
            d_key: filling(d_key, KEY),
            d_value: filling(d_value, VALUE),
            d_gates: [filling(d_forget, 1), filling(d_momentum, 1), filling(d_step, 1)],
            d_memory: Output::new(&mut d_memory),
            d_initial: Output::new(&mut d_initial),
        };
        relay(simd, &backward, 1);
        // SAFETY: as above.
        let gradients =
            gradients.into_iter().chain([d_memory, d_initial]).map(|room| unsafe { filled(room) });
        self.found.extend([output, last].into_iter().chain(gradients));
    }
}

fn outcome<E: Real>(depth: usize, runner: impl Runner) -> Vec<Vec<E>> {
    let (mut found, hidden) = (Vec::new(), [11, 4]);
    let layers =
        Layers::new(KEY, hidden[..depth - 1].iter().copied().chain([VALUE]).collect::<Vec<_>>().into_iter());
    runner.run(Both { layers, found: &mut found });
    found
}

fn check<E: Real>(within: f64, runner: impl Runner) {
    for depth in 1..=3 {
        let (found, wanted) = (outcome::<E>(depth, runner), outcome::<f64>(depth, Plain));
        assert_eq!(found.len(), wanted.len());
        for (index, (found, wanted)) in found.into_iter().zip(wanted).enumerate() {
            let largest = wanted.iter().fold(1.0, |most: f64, number| most.max(number.abs()));
            for (found, wanted) in found.into_iter().zip(wanted) {
                let error = (found.into_f64() - wanted).abs() / largest;
                assert!(error <= within, "{depth} layers, tensor {index}: {found:?} for {wanted}");
            }
        }
    }
}

#[test]
fn every_kind_of_processor_computes_the_same() {
    check::<f32>(2e-4, Here);
    check::<f64>(1e-12, Here);
    check::<f32>(2e-4, Narrow);
    check::<f64>(1e-12, Narrow);
}
