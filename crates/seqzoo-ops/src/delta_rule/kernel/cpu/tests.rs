//! The kernel gives the same on every kind of processor that this one can stand in for.

use super::beta::Beta;
use super::run_backward::{BackwardPass, Gradients};
use super::run_forward::{ForwardPass, Made, Most, Squares};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::{Output, filled, room};
use crate::kernel::cpu::processor_kinds::{Here, Narrow, Plain, Runner, numbers, room_of};
use crate::matrix_memory::cpu::chunks::CHUNK;
use crate::matrix_memory::cpu::sequence::{Cut, Decay, Extents, Sequence};
use crate::matrix_memory::cpu::tasks::Division;

const EXTENTS: Extents = Extents { batch: 2, time: 75, heads: 2, key: 19, value: 21 };

/// An upper bound of a padded row.
const PADDED: usize = 64;

/// Runs both passes, each through `run`; returns outputs, final memories and all gradients.
fn outcome<E: Real>(
    channels: Option<usize>,
    strengths: usize,
    division: Division,
    run: impl Runner,
) -> Vec<Vec<E>> {
    let Extents { batch, time, heads, key, value } = EXTENTS;
    let tokens = batch * time * heads;
    let memories = batch * heads * key * value;
    let positive = |count, seed, factor| -> Vec<E> {
        let all = numbers::<E>(count, seed).into_iter();
        all.map(|number| E::from_f64(factor) * (number + E::ONE)).collect()
    };
    let query = numbers(tokens * key, 1.0);
    // Short enough that nothing grows: 19 squares below 0.05.
    let keys: Vec<E> = numbers::<E>(tokens * key, 2.0).into_iter().map(|k| k * E::from_f64(0.22)).collect();
    let values = numbers(tokens * value, 3.0);
    let decay = positive(tokens * channels.unwrap_or(1), 4.0, -0.5);
    let beta = positive(tokens * strengths, 8.0, 0.9);
    let mut resets = vec![E::default(); batch * time];
    resets[40] = E::ONE;
    let (memory, upstream, last) =
        (numbers(memories, 5.0), numbers(tokens * value, 6.0), numbers(memories, 7.0));
    let sequence = Sequence {
        extents: EXTENTS,
        query: &query,
        key: &keys,
        value: &values,
        decay: channels.map_or(Decay::none(), |channels| Decay::new(&decay, [batch, time, heads, channels])),
        scale: E::from_f64(0.3),
    };
    let beta = Beta { numbers: &beta, channels: strengths };
    let cut = Cut::new(&EXTENTS, Some(&resets));

    let zeros = |count| room_of(vec![E::default(); count]);
    let (mut output, mut final_memory) = (room(tokens * value), room(memories));
    let (mut states, mut differences) = (zeros(cut.kept * heads * value * PADDED), zeros(tokens * value));
    let (mut products, mut triangles) = (zeros(tokens * CHUNK), zeros(tokens * CHUNK));
    run.run(ForwardPass {
        sequence,
        beta,
        cut: &cut,
        memory: &memory,
        output: Output::new(&mut output),
        last: Output::new(&mut final_memory),
        made: Some(Made { states: Output::new(&mut states), differences: Output::new(&mut differences) }),
        squares: Some(Squares {
            products: Output::new(&mut products),
            triangles: Output::new(&mut triangles),
        }),
        division,
        most: &Most::default(),
    });
    let mut gradients = [
        tokens * key,
        tokens * key,
        tokens * value,
        tokens * strengths,
        tokens * channels.unwrap_or(0),
        memories,
    ]
    .map(room);
    let [of_query, of_key, of_value, of_beta, of_decay, of_memory] = &mut gradients;
    let mut gradients_of_states = zeros(states.len());
    // SAFETY: made of zeros, and written over.
    let [states, differences, products, triangles] =
        [states, differences, products, triangles].map(|room| unsafe { filled(room) });
    run.run(BackwardPass {
        sequence,
        beta,
        cut: &cut,
        states: &states,
        differences: &differences,
        products: &products,
        triangles: &triangles,
        output: &upstream,
        last: &last,
        gradients: Gradients {
            query: Output::new(of_query),
            key: Output::new(of_key),
            value: Output::new(of_value),
            beta: Output::new(of_beta),
            decay: Output::new(of_decay),
            memory: Output::new(of_memory),
        },
        memories: Output::new(&mut gradients_of_states),
        division,
    });
    // SAFETY: both passes fill all of their outputs.
    [output, final_memory].into_iter().chain(gradients).map(|room| unsafe { filled(room) }).collect()
}

fn check<E: Real>(tolerance: f64, runner: impl Runner) {
    for channels in [None, Some(1), Some(EXTENTS.key)] {
        for strengths in [1, EXTENTS.value] {
            let wanted = outcome::<E>(channels, strengths, Division::Heads, Plain);
            for division in [Division::Heads, Division::Chunks] {
                let found = outcome::<E>(channels, strengths, division, runner);
                for (index, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                    for (found, wanted) in found.iter().zip(wanted) {
                        let difference: f64 = (*found - *wanted).into_f64();
                        assert!(difference.abs() < tolerance, "{channels:?}, tensor {index}: {difference:e}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_kind_of_processor_computes_the_same() {
    check::<f32>(1e-4, Here);
    check::<f64>(1e-12, Here);
    check::<f64>(f64::MIN_POSITIVE, Plain);
    check::<f32>(1e-4, Narrow);
    check::<f64>(1e-12, Narrow);
}
