//! The kernel gives the same on every kind of processor that this one can stand in for.

use super::forward_chunk::Squares;
use super::{backward_chunk, forward_chunk};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::{Output, filled, room};
use crate::kernel::cpu::processor_kinds::{Runner, room_of};
use crate::matrix_memory::kernel::cpu::backward_walk::BackwardWalk;
use crate::matrix_memory::kernel::cpu::chunks::CHUNK;
use crate::matrix_memory::kernel::cpu::division::Division;
use crate::matrix_memory::kernel::cpu::forward_walk::ForwardWalk;
use crate::matrix_memory::kernel::cpu::pass::{Carry, Pass};
use crate::matrix_memory::kernel::cpu::processor_kinds::{
    Batch, EXTENTS, Kind, PADDED, Passes, TokenRoom, check_all, decay_room, tokens,
};
use crate::matrix_memory::kernel::cpu::sequence::Sequence;

struct DeltaRule;

impl Passes for DeltaRule {
    fn outcome<E: Real>(kind: Kind, division: Division, run: impl Runner) -> Vec<Vec<E>> {
        let batch = Batch::<E>::new(kind);
        let (sequence, beta, cut) = (batch.sequence(), batch.beta(), &batch.cut);
        let zeros = |count| room_of(vec![E::default(); count]);
        let [mut output, mut differences] = [(); 2].map(|()| TokenRoom::like(sequence.value));
        let (mut last, squares) = (room(batch.memory.len()), EXTENTS.all_heads() * EXTENTS.time * CHUNK);
        let mut states = zeros(cut.all_slots() * EXTENTS.value * PADDED);
        let (mut products, mut overlaps) = (zeros(squares), zeros(squares));
        run.run(Pass {
            walk: ForwardWalk {
                chunks: forward_chunk::Chunks {
                    sequence,
                    beta,
                    output: output.tokens(),
                    differences: Some(differences.tokens()),
                    squares: Some(Squares {
                        products: Output::new(&mut products),
                        overlaps: Output::new(&mut overlaps),
                    }),
                },
                states: Some(Output::new(&mut states)),
            },
            carry: Carry { extents: EXTENTS, cut, start: &batch.memory, end: Output::new(&mut last) },
            group: 1,
            division,
        });
        let mut state_gradients = zeros(states.len());
        // SAFETY: the differences are filled; the others were made of zeros, and written over.
        let (differences, [states, products, overlaps]) =
            unsafe { (differences.filled(), [states, products, overlaps].map(|room| filled(room))) };
        let sequence = Sequence { value: tokens(&differences, EXTENTS.heads), ..sequence };
        let mut gradients = [sequence.query, sequence.key, sequence.value, beta].map(TokenRoom::like);
        let [query, key, value, d_beta] = &mut gradients;
        let (mut decay, mut memory) = (decay_room(&batch), room(batch.memory.len()));
        run.run(Pass {
            walk: BackwardWalk {
                chunks: backward_chunk::Chunks {
                    sequence,
                    beta,
                    products: &products,
                    overlaps: &overlaps,
                    upstream: batch.upstream(),
                    d_query: query.tokens(),
                    d_key: key.tokens(),
                    d_value: value.tokens(),
                    d_beta: d_beta.tokens(),
                    d_decay: decay.as_mut().map(TokenRoom::tokens),
                },
                states: &states,
                state_gradients: Output::new(&mut state_gradients),
            },
            carry: Carry {
                extents: EXTENTS,
                cut,
                start: &batch.upstream_memory,
                end: Output::new(&mut memory),
            },
            group: sequence.group(),
            division,
        });
        // SAFETY: both passes fill all of their outputs.
        unsafe {
            let tokens = [output].into_iter().chain(gradients).chain(decay).map(|room| room.filled());
            tokens.chain([last, memory].map(|room| filled(room))).collect()
        }
    }
}

#[test]
fn every_kind_of_processor_computes_the_same() {
    check_all::<DeltaRule>();
}
