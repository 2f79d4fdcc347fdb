//! The kernel on Burn's Flex backend: vectorised native code on all cores.
#![allow(unsafe_code, reason = "tasks fill tensors in parallel")]

mod backward;
mod call;
mod forward;
mod gated;
mod packed;
mod pieces;
mod places;
mod questions;
mod read;
mod scores;
mod step;
mod sums;

use super::{AttentionBackend, Inputs, Outputs, Saved, Settings};
use crate::kernel::cpu::channels::room::Room;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::tensors::{numbers, tensor};
use crate::kernel::tensors::Maybe;
use backward::{Backward, DCache};
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use call::Call;
use forward::Forward;
use places::{Reach, Rows, Sequence};
use pulp::Arch;
use read::Read;
use step::Step;
use sums::LogDecays;

/// Pairs of a query and a key that are not worth another thread, as multiply-adds.
const SMALL: f64 = 1e5;

impl AttentionBackend for Flex {
    fn attention_kernel(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        Self::attention_kernel_forward(inputs, settings).0
    }

    fn attention_kernel_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        match inputs.query.dtype() {
            DType::F64 => forward::<f64>(inputs, &settings),
            _ => forward::<f32>(inputs, &settings),
        }
    }

    fn attention_kernel_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        match saved.output.dtype() {
            DType::F64 => backward::<f64>(saved, upstream, &settings),
            _ => backward::<f32>(saved, upstream, &settings),
        }
    }
}

/// `[rows, tokens, heads, channels]` as the kernel reads it: heads and channels of a token together.
fn readable(tensor: &FlexTensor) -> FlexTensor {
    let [_, _, _, channels] = tensor.shape().dims();
    let strides = tensor.layout().strides();
    let together =
        strides[3] == 1 && strides[2] == channels as isize && strides.iter().all(|stride| *stride >= 0);
    if together { tensor.clone() } else { tensor.to_contiguous() }
}

fn rows<E: Real + Element>(tensor: &FlexTensor) -> Rows<'_, E> {
    let layout = tensor.layout();
    let strides: Vec<usize> = layout.strides().iter().map(|stride| stride.unsigned_abs()).collect();
    let [_, _, _, channels] = tensor.shape().dims();
    Rows {
        numbers: &tensor.storage::<E>()[layout.start_offset()..],
        row_stride: strides[0],
        token_stride: strides[1],
        channels,
    }
}

/// The tensors of a call, readable.
struct Tensors {
    query: FlexTensor,
    /// Keys and values.
    entries: Option<[FlexTensor; 2]>,
    cache: Option<[FlexTensor; 2]>,
    /// Of the tokens, and of the cache.
    log_decays: Option<[Option<FlexTensor>; 2]>,
}

impl Tensors {
    fn new(inputs: Inputs<Flex>) -> Self {
        let Inputs { query, key, value, log_decay, cached_keys, cached_values, cached_log_decays } = inputs;
        let pair = |keys: Maybe<Flex>, values: Maybe<Flex>| {
            keys.into_option()
                .zip(values.into_option())
                .map(|(keys, values)| [readable(&keys), readable(&values)])
        };
        let contiguous = |tensor: FlexTensor| tensor.to_contiguous();
        let cached_log_decays = cached_log_decays.into_option().map(contiguous);
        Self {
            query: readable(&query),
            entries: pair(key, value),
            cache: pair(cached_keys, cached_values),
            log_decays: log_decay.into_option().map(|own| [Some(own.to_contiguous()), cached_log_decays]),
        }
    }

    /// Keys and values, of the tokens or else of the cache.
    fn some_entries(&self) -> &[FlexTensor; 2] {
        self.entries.as_ref().or(self.cache.as_ref()).expect("there are keys")
    }

    fn call<'a, E: Real + Element>(&'a self, settings: &'a Settings) -> Call<'a, E> {
        let [_, time, heads, _] = self.query.shape().dims();
        let [some_keys, some_values] = self.some_entries();
        let [_, _, key_heads, _] = some_keys.shape().dims();
        let sequences = self.sequences(settings);
        let log_decays = self.log_decays.as_ref().map(|[own, cached]| {
            let [own, cached] = [own, cached].map(|tensor| tensor.as_ref().map(numbers::<E>));
            let cache_length = self.cache.as_ref().map_or(0, |[keys, _]| keys.shape()[1]);
            LogDecays::new(&sequences, heads, |sequence, key, head| {
                let (all, place) = match key < sequence.cached {
                    true => (cached, sequence.cache_row * cache_length + sequence.cache_start + key),
                    false => (own, sequence.row * time + sequence.start + key - sequence.cached),
                };
                all.expect("cached entries have log decays as well")[place * heads + head].into_f64()
            })
        });
        let nothing = |like: &FlexTensor| Rows {
            numbers: &[],
            channels: like.shape()[3],
            row_stride: 0,
            token_stride: 0,
        };
        let (key, value) = match &self.entries {
            Some([key, value]) => (rows(key), rows(value)),
            None => (nothing(some_keys), nothing(some_values)),
        };
        Call {
            query: rows(&self.query),
            key,
            value,
            cache: self.cache.as_ref().map(|cache| cache.each_ref().map(rows)),
            log_decays,
            sequences,
            landmarks: settings.landmarks.as_deref(),
            heads,
            key_heads,
            scale: settings.scale,
            reach: Reach {
                bidirectional: settings.bidirectional,
                window: settings.window.unwrap_or(usize::MAX),
            },
        }
    }

    fn sequences(&self, settings: &Settings) -> Vec<Sequence> {
        let (mut number, mut keys_before, mut tiles_before) = (0, 0, 0);
        let place = |sequence: &super::Sequence| {
            let super::Sequence { row, start, tokens, cache_row, cache_start, cached } = *sequence;
            let answers = self.entries.is_some();
            let placed = Sequence {
                row,
                start,
                tokens,
                answers,
                cache_row,
                cache_start,
                cached,
                number,
                keys_before,
                tiles_before,
            };
            number += 1;
            keys_before += placed.keys();
            tiles_before += placed.tiles();
            placed
        };
        settings.sequences.iter().map(place).collect()
    }
}

fn cores<E>(call: &Call<'_, E>) -> usize {
    let work = call.pairs() * (call.query.channels + call.value.channels) as f64;
    if work < SMALL { 1 } else { rayon::current_num_threads() }
}

fn forward<E: Real + Element>(inputs: Inputs<Flex>, settings: &Settings) -> (Outputs<Flex>, Saved<Flex>) {
    let tensors = Tensors::new(inputs.clone());
    let call = tensors.call::<E>(settings);
    let [batch, time, heads, _] = tensors.query.shape().dims();
    let of_tokens = || Room::<E>::new([batch, time, heads]);
    let (mut log_sum, mut most, mut share) = (of_tokens(), of_tokens(), of_tokens());
    let mut output = Room::<E>::new([batch, time, heads, call.value.channels]);
    let read = Read {
        output: output.output(),
        log_sum: log_sum.output(),
        most: most.output(),
        share: share.output(),
        time,
    };
    let cores = cores(&call);
    // Few tokens would leave most lanes of a tile empty.
    if call.landmarks.is_none() && call.sequences.iter().all(|sequence| sequence.tokens <= step::FEW) {
        Arch::new().dispatch(Step { call: &call, read, cores });
    } else {
        Arch::new().dispatch(Forward { call: &call, read, cores });
    }
    // SAFETY: the sequences cover all tokens, and every token and head has been written.
    let [output, log_sum, most, share] =
        unsafe { [output.filled(), log_sum.filled(), most.filled(), share.filled()] };
    (Outputs { output: output.clone(), log_sum }, Saved { inputs, output, most, share })
}

fn backward<E: Real + Element>(
    saved: Saved<Flex>,
    upstream: Outputs<Flex>,
    settings: &Settings,
) -> Inputs<Flex> {
    let Saved { inputs, output, most, share } = saved;
    let tensors = Tensors::new(inputs);
    let call = tensors.call::<E>(settings);
    let [batch, time, _, _] = tensors.query.shape().dims();
    let [d_output, d_log_sum] = [upstream.output, upstream.log_sum].map(|tensor| tensor.to_contiguous());
    let mut d_entries = tensors.some_entries().each_ref().map(|tensor| {
        let [_, _, heads, channels] = tensor.shape().dims();
        let time = if tensors.entries.is_some() { time } else { 0 };
        Room::<E>::new([batch, time, heads, channels])
    });
    let mut d_query = Room::<E>::new(tensors.query.shape());
    // Entries that no token sees have gradients of zeros.
    let mut d_cache =
        tensors.cache.as_ref().map(|cache| cache.each_ref().map(|tensor| Room::<E>::zeros(tensor.shape())));
    let cache_length = tensors.cache.as_ref().map_or(0, |[keys, _]| keys.shape()[1]);
    let [d_key, d_value] = &mut d_entries;
    let sums = Arch::new().dispatch(Backward {
        call: &call,
        time,
        cores: cores(&call),
        output: numbers(&output),
        most: numbers(&most),
        share: numbers(&share),
        d_output: numbers(&d_output),
        d_log_sum: numbers(&d_log_sum),
        d_query: d_query.output(),
        d_key: d_key.output(),
        d_value: d_value.output(),
        d_cache: d_cache.as_mut().map(|[keys, values]| DCache {
            keys: keys.output(),
            values: values.output(),
            length: cache_length,
        }),
    });
    let [d_log_decay, d_cached_log_decays] = match sums {
        None => [None, None],
        Some(sums) => d_log_decays::<E>(&tensors, &call, &sums),
    };
    let [d_cached_keys, d_cached_values] = match d_cache {
        None => [Maybe::Absent, Maybe::Absent],
        // SAFETY: begun with zeros.
        Some(cache) => cache.map(|room| Maybe::Present(unsafe { room.filled() })),
    };
    let [d_key, d_value] = match tensors.entries {
        None => [Maybe::Absent, Maybe::Absent],
        // SAFETY: the sequences cover all tokens.
        Some(_) => d_entries.map(|room| Maybe::Present(unsafe { room.filled() })),
    };
    Inputs {
        // SAFETY: as above.
        query: unsafe { d_query.filled() },
        key: d_key,
        value: d_value,
        log_decay: Maybe::new(d_log_decay),
        cached_keys: d_cached_keys,
        cached_values: d_cached_values,
        cached_log_decays: Maybe::new(d_cached_log_decays),
    }
}

/// The gradients of the log decays of the tokens and of the cache, from those of their sums.
fn d_log_decays<E: Real + Element>(
    tensors: &Tensors,
    call: &Call<'_, E>,
    sums: &[f64],
) -> [Option<FlexTensor>; 2] {
    let [own, cached] = tensors.log_decays.as_ref().expect("there are log decays");
    let zeros = |of: &Option<FlexTensor>| {
        of.as_ref().map_or_else(Vec::new, |tensor| vec![E::default(); tensor.shape().num_elements()])
    };
    let (mut d_own, mut d_cached) = (zeros(own), zeros(cached));
    let time = tensors.query.shape()[1];
    let cache_length = tensors.cache.as_ref().map_or(0, |[keys, _]| keys.shape()[1]);
    for sequence in &call.sequences {
        for head in 0..call.heads {
            let sums = &sums[sequence.keys_before * call.heads + head * sequence.keys()..][..sequence.keys()];
            // A log decay is in the sums of its key and of all later ones.
            let mut later = 0.0;
            for (key, sum) in sums.iter().enumerate().rev() {
                later += sum;
                let (to, place) = match key < sequence.cached {
                    true => (&mut d_cached, sequence.cache_row * cache_length + sequence.cache_start + key),
                    false => (&mut d_own, sequence.row * time + sequence.start + key - sequence.cached),
                };
                to[place * call.heads + head] = E::from_f64(later);
            }
        }
    }
    let like = |of: &Option<FlexTensor>, numbers| of.as_ref().map(|of| tensor(numbers, of.shape()));
    [like(own, d_own), like(cached, d_cached)]
}
