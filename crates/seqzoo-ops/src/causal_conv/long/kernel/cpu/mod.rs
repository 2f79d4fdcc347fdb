//! The kernel on Burn's Flex backend: tiles of channels on all cores.
#![allow(unsafe_code, reason = "tasks fill tensors in parallel")]

mod backward;
mod correlation;
mod forward;
mod plan;
mod rows;
mod transform;

use super::{Inputs, LongConvBackend, Outputs, Saved, Settings};
use crate::kernel::cpu::output::{Output, filled, room};
use crate::kernel::tensors::Maybe;
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::{Bytes, DType, Shape};
use plan::{Extents, Plan};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;
use transform::Spectral;

impl LongConvBackend for Flex {
    fn long_conv(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        let call = Call::new(inputs.entries, inputs.filter, inputs.resets, settings.time);
        match call.entries.dtype() {
            DType::F64 => forward::<f64>(&call),
            _ => forward::<f32>(&call),
        }
    }

    fn long_conv_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        let Inputs { entries, filter, resets } = inputs.clone();
        (Self::long_conv(inputs, settings), Saved { entries, filter, resets })
    }

    fn long_conv_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        let call = Call::new(saved.entries, saved.filter, saved.resets, settings.time);
        match call.entries.dtype() {
            DType::F64 => backward::<f64>(&call, upstream.output.to_contiguous()),
            _ => backward::<f32>(&call, upstream.output.to_contiguous()),
        }
    }
}

/// The tensors that both passes read, contiguous.
struct Call {
    entries: FlexTensor,
    filter: FlexTensor,
    resets: Option<FlexTensor>,
    extents: Extents,
}

impl Call {
    fn new(entries: FlexTensor, filter: FlexTensor, resets: Maybe<Flex>, time: usize) -> Self {
        let [batch, entry_count, channels] = entries.shape().dims();
        let [_, taps] = filter.shape().dims();
        Self {
            entries: entries.to_contiguous(),
            filter: filter.to_contiguous(),
            resets: resets.into_option().map(|resets| resets.to_contiguous()),
            extents: Extents { batch, entries: entry_count, time, channels, taps },
        }
    }

    fn plan<E: Spectral + Element>(&self) -> Plan {
        let resets = self.resets.as_ref().map(numbers::<E>);
        Plan::new(&self.extents, |row, token| {
            resets.is_some_and(|resets| resets[row * self.extents.time + token] != E::default())
        })
    }
}

fn forward<E: Spectral + Element>(call: &Call) -> Outputs<Flex> {
    let (extents, plan) = (call.extents, call.plan::<E>());
    let Extents { batch, time, channels, .. } = extents;
    let mut output = room(batch * time * channels);
    let task = forward::Forward {
        extents,
        plan: &plan,
        entries: numbers::<E>(&call.entries),
        filter: numbers(&call.filter),
        output: Output::new(&mut output),
    };
    over_tiles::<E, _>(&extents, &plan, &task);
    // SAFETY: the pieces of a plan cover all tokens, and the tiles all channels.
    let output = unsafe { filled(output) };
    Outputs { output: tensor(output, [batch, time, channels]) }
}

fn backward<E: Spectral + Element>(call: &Call, upstream: FlexTensor) -> Inputs<Flex> {
    let (extents, plan) = (call.extents, call.plan::<E>());
    let Extents { batch, entries, channels, taps, .. } = extents;
    let (mut d_entries, mut d_filter) = (room(batch * entries * channels), room(channels * taps));
    let task = backward::Backward {
        extents,
        plan: &plan,
        entries: numbers::<E>(&call.entries),
        filter: numbers(&call.filter),
        upstream: numbers(&upstream),
        d_entries: Output::new(&mut d_entries),
        d_filter: Output::new(&mut d_filter),
    };
    over_tiles::<E, _>(&extents, &plan, &task);
    // SAFETY: a tile writes the gradients of all entries and taps of its channels.
    let (d_entries, d_filter) = unsafe { (filled(d_entries), filled(d_filter)) };
    Inputs {
        entries: tensor(d_entries, [batch, entries, channels]),
        filter: tensor(d_filter, [channels, taps]),
        resets: Maybe::Absent,
    }
}

/// What is done for a tile of channels.
trait Tile: Sync {
    fn tile<S: Simd>(&self, simd: S, channels: Range<usize>);
}

/// Work, in multiply-adds, that is not worth another thread.
const SMALL: f64 = 1e5;

/// Runs `task` on all channels: tiles of a cache line, or of fewer channels where there are more cores than lines.
fn over_tiles<E: Spectral, T: Tile>(extents: &Extents, plan: &Plan, task: &T) {
    struct OneTile<'a, T>(&'a T, Range<usize>);
    impl<T: Tile> WithSimd for OneTile<'_, T> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            self.0.tile(simd, self.1);
        }
    }
    let channels = extents.channels;
    let work = plan.work() * channels as f64;
    let threads = if work < SMALL { 1 } else { rayon::current_num_threads() };
    let width = channels.div_ceil(threads).min(64 / size_of::<E>());
    let starts: Vec<usize> = (0..channels).step_by(width).collect();
    let run = |from: usize| {
        Arch::new().dispatch(OneTile(task, from..channels.min(from + width)));
    };
    if threads == 1 {
        starts.into_iter().for_each(run);
    } else {
        starts.into_par_iter().for_each(run);
    }
}

/// The elements of a contiguous tensor.
fn numbers<E: Spectral + Element>(tensor: &FlexTensor) -> &[E] {
    tensor.as_slice::<E>().expect("the tensors of a call are contiguous and share one dtype")
}

fn tensor<E: Spectral + Element, const D: usize>(numbers: Vec<E>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(numbers), Layout::contiguous(Shape::new(shape)), E::dtype())
}
