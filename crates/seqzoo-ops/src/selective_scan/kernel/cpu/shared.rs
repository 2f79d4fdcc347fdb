//! Gradients of what the tasks of a group share: each had its own, and here they are added, always in the same order.

use super::call::Extents;
use crate::kernel::cpu::channels::blocks::Blocks;
use crate::kernel::cpu::channels::sums::add;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::tensors::{numbers, tensor};
use burn::backend::Element;
use burn::backend::flex::FlexTensor;
use burn::tensor::Shape;
use rayon::prelude::*;

/// Tokens that a thread takes at once.
const TOKENS: usize = 256;

/// The sum over the tasks of a group: `[b, tasks, t, n]` to `[b, t, g, n]`.
pub(super) fn over_tasks<E: Real + Element>(
    each: &FlexTensor,
    blocks: &Blocks,
    extents: &Extents,
) -> FlexTensor {
    let Extents { batch, time, groups, size, .. } = *extents;
    let (each, tasks) = (numbers::<E>(each), blocks.tasks.len());
    let mut sums = vec![E::default(); batch * time * groups * size];
    for (row, sums) in sums.chunks_exact_mut(time * groups * size).enumerate() {
        sums.par_chunks_mut(TOKENS * groups * size).enumerate().for_each(|(index, sums)| {
            for (number, task) in blocks.tasks.iter().enumerate() {
                let from = ((row * tasks + number) * time + index * TOKENS) * size;
                let tokens = sums.len() / (groups * size);
                let own = &each[from..][..tokens * size];
                if groups == 1 {
                    add(sums, own);
                    continue;
                }
                for (sums, own) in sums.chunks_exact_mut(groups * size).zip(own.chunks_exact(size)) {
                    add(&mut sums[task.group * size..][..size], own);
                }
            }
        });
    }
    tensor(sums, Shape::new([batch, time, groups, size]))
}
