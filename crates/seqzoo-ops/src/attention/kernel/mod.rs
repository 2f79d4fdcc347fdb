#![doc = include_str!("README.md")]

#[cfg(feature = "flex")]
mod cpu;

use super::{AttentionState, Prefix, Problem};
use crate::kernel::Kernel;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use std::sync::Arc;

/// The kernel that this operator has on `device`.
pub(super) fn on(device: &Device) -> Option<Kernel> {
    Kernel::on(device).filter(|kernel| *kernel == Kernel::Cpu)
}

/// The arguments of a call, in one dtype, `f32` or `f64`. There are entries of tokens, or of a cache, or both.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    pub query: FloatTensor<B>, // [b, t, h, k]
    #[extension_type]
    pub key: Maybe<B>, // [b, t, hk, k]
    #[extension_type]
    pub value: Maybe<B>, // [b, t, hk, v]
    #[extension_type]
    pub log_decay: Maybe<B>, // [b, t, h]
    #[extension_type]
    pub cached_keys: Maybe<B>, // [n, s, hk, k]
    #[extension_type]
    pub cached_values: Maybe<B>, // [n, s, hk, v]
    #[extension_type]
    pub cached_log_decays: Maybe<B>, // [n, s, h, 1]
}
tensors!(Inputs[7]: query; maybe key, value, log_decay, cached_keys, cached_values, cached_log_decays);

#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    pub output: FloatTensor<B>,  // [b, t, h, v]
    pub log_sum: FloatTensor<B>, // [b, t, h], the logarithm of the sum of the exponentials of the scores
}
tensors!(Outputs[2]: output, log_sum);

/// What the backward pass reads.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Saved<B: Backend> {
    #[extension_type]
    pub inputs: Inputs<B>,
    pub output: FloatTensor<B>,
    pub most: FloatTensor<B>, // [b, t, h], the largest score, as a logarithm to the base 2
    pub share: FloatTensor<B>, // [b, t, h], 1 by the sum of the exponentials of scores less the largest
}

/// Tokens that see each other, and the entries of the cache that they see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// The row of the tokens, and the first of them.
    pub row: usize,
    pub start: usize,
    pub tokens: usize,
    /// The row of the cache, and the first entry of it that is seen, as all later ones are.
    pub cache_row: usize,
    pub cache_start: usize,
    pub cached: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub scale: f64,
    pub bidirectional: bool,
    pub window: Option<usize>,
    /// All sequences; they cover all tokens.
    pub sequences: Arc<[Sequence]>,
    /// For landmark attention, which keys of every sequence are landmarks, counted from its first key.
    pub landmarks: Option<Arc<[Vec<usize>]>>,
}

/// Softmax attention as backends with a kernel implement it.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Autodiff,
)]
pub(crate) trait AttentionBackend: Backend {
    /// The outputs alone; what autodiff records.
    fn attention_kernel(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    fn attention_kernel_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs, each in the shape of its tensor.
    fn attention_kernel_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

on_tape!(Attention[7, 2]: AttentionBackend {
    attention_kernel, attention_kernel_forward, attention_kernel_vjp
});

/// What is asked: keys and values of the tokens themselves, of a cache, or of both.
struct Question {
    query: Tensor<4>,
    own: Option<[Tensor<4>; 2]>,
    cache: Option<[Tensor<4>; 2]>,
    settings: Settings,
}

impl Question {
    /// The output `[b, t, h, v]` and the logarithms of the sums of exponentials, `[b, t, h]`.
    fn answer(self) -> (Tensor<4>, Tensor<3>) {
        let Self { query, own, cache, settings } = self;
        let pair = |pair: Option<[Tensor<4>; 2]>| {
            let [keys, values] = pair.map_or([None, None], |pair| pair.map(Some));
            [keys, values].map(|tensor| Maybe::new(tensor.map(Tensor::into_dispatch)))
        };
        let ([key, value], [cached_keys, cached_values]) = (pair(own), pair(cache));
        let inputs = Inputs {
            query: query.into_dispatch(),
            key,
            value,
            log_decay: Maybe::Absent,
            cached_keys,
            cached_values,
            cached_log_decays: Maybe::Absent,
        };
        let Outputs { output, log_sum } = Dispatch::attention_kernel(inputs, settings);
        (Tensor::from_dispatch(output), Tensor::from_dispatch(log_sum))
    }
}

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run(problem: Problem) -> (Tensor<4>, AttentionState) {
    let Problem { query, key, value, cache, scale, window, prefix, resets } = problem;
    let sequences = Sequences::new(query.dims(), cache.as_ref(), resets);
    let settings =
        Settings { scale, bidirectional: false, window, sequences: sequences.all, landmarks: None };
    let device = query.device();
    let prefix = prefix.map(|Prefix { query: asking, keys, values }| {
        let [batch, time, _, _] = query.dims();
        let each = |tensor: Tensor<4>| {
            let [_, length, heads, channels] = tensor.dims();
            tensor.expand([batch, length, heads, channels])
        };
        let length = keys.dims()[1];
        let row =
            |row| Sequence { row, start: 0, tokens: time, cache_row: row, cache_start: 0, cached: length };
        Question {
            query: asking.unwrap_or_else(|| query.clone()),
            own: None,
            cache: Some([each(keys), each(values)]),
            settings: Settings {
                scale,
                bidirectional: true,
                window: None,
                sequences: (0..batch).map(row).collect(),
                landmarks: None,
            },
        }
    });
    let question = Question {
        query,
        own: Some([key.clone(), value.clone()]),
        cache: cache.as_ref().map(|cache| [cache.keys.tensor(), cache.values.tensor()]),
        settings,
    };
    let (mut output, log_sum) = question.answer();
    if let Some(prefix) = prefix {
        let (other, other_sum) = prefix.answer();
        // As one softmax over both: each counts as much as its sum of exponentials.
        let share = sigmoid(log_sum - other_sum).unsqueeze_dim::<4>(3);
        output = share.clone() * output + (-share + 1.0) * other;
    }
    let seen = match cache {
        None => AttentionState { keys: key.into(), values: value.into(), visible: None },
        Some(past) => {
            AttentionState { keys: past.keys.append(key), values: past.values.append(value), visible: None }
        }
    };
    let visible = visible(&sequences.first_seen, seen.length(), &device);
    (output, AttentionState { visible, ..seen }.trimmed(window))
}

/// The sequences of a call, and of every row the first entry, of the cache and the tokens, that is still seen after it.
struct Sequences {
    all: Arc<[Sequence]>,
    first_seen: Vec<usize>,
}

impl Sequences {
    fn new(
        [batch, time, _, _]: [usize; 4],
        cache: Option<&AttentionState>,
        resets: Option<Tensor<2, Bool>>,
    ) -> Self {
        let length = cache.map_or(0, AttentionState::length);
        let flags = |tensor: Tensor<2, Bool>| -> Vec<bool> { tensor.to_data().iter().collect() };
        let visible = cache.and_then(|cache| cache.visible.clone()).map(flags);
        let resets = resets.map(flags);
        let (mut all, mut first_seen) = (Vec::new(), Vec::new());
        for row in 0..batch {
            let visible = visible.as_ref().map(|visible| &visible[row * length..][..length]);
            let hidden = visible.map_or(0, |visible| visible.iter().take_while(|visible| !**visible).count());
            let reset = |token: &usize| resets.as_ref().is_some_and(|resets| resets[row * time + token]);
            let mut sequence = Sequence {
                row,
                start: 0,
                tokens: 0,
                cache_row: row,
                cache_start: hidden,
                cached: length - hidden,
            };
            for token in (0..time).filter(reset) {
                all.push(Sequence { tokens: token - sequence.start, ..sequence });
                sequence = Sequence { start: token, cache_start: length, cached: 0, ..sequence };
            }
            first_seen.push(match sequence.cached {
                0 => length + sequence.start,
                _ => hidden,
            });
            all.push(Sequence { tokens: time - sequence.start, ..sequence });
        }
        Self { all: all.into_iter().filter(|sequence| sequence.tokens > 0).collect(), first_seen }
    }
}

/// Which of `length` entries are seen of those from `first_seen` on, where some are not.
fn visible(first_seen: &[usize], length: usize, device: &Device) -> Option<Tensor<2, Bool>> {
    if first_seen.iter().all(|first| *first == 0) {
        return None;
    }
    let flags: Vec<bool> =
        first_seen.iter().flat_map(|first| (0..length).map(move |key| key >= *first)).collect();
    Some(Tensor::from_data(TensorData::new(flags, [first_seen.len(), length]), device))
}

/// Whether the kernel takes this cache: what it hides lies before all that it shows.
pub(super) fn takes(state: &AttentionState) -> bool {
    let Some(visible) = &state.visible else { return true };
    let length = state.length();
    let flags: Vec<bool> = visible.to_data().iter().collect();
    length == 0 || flags.chunks_exact(length).all(|row| row.is_sorted())
}
