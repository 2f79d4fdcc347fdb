//! Landmark attention: a token at the end of every block decides how much of the block is read.

#[cfg(feature = "flex")]
mod kernel;
mod layout;
mod naive;
mod parallel;
mod softmax;
mod wild;

#[doc(hidden)]
pub use softmax::masked_softmax;

use super::Entries;
use crate::checks;
use crate::form::{Form, Forms, Report};
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

/// The keys and values that later tokens still see, and which of them are landmarks.
#[derive(Clone, Debug)]
pub struct LandmarkState {
    /// Keys, oldest first, `[B, S, HK, K]`.
    pub keys: Entries,
    /// Values, oldest first, `[B, S, HK, V]`. Those of landmarks are never read.
    pub values: Entries,
    /// `[B, S]`, true for landmarks.
    pub landmarks: Tensor<2, Bool>,
    /// `[B, S]`, false for entries that a reset has hidden from a sequence; absent where nothing is hidden.
    pub visible: Option<Tensor<2, Bool>>,
}

/// Options of [`landmark_attention`].
#[derive(Clone, Debug, Default)]
pub struct LandmarkOptions {
    /// The cache before the first token. `None`: empty.
    pub initial_state: Option<LandmarkState>,
    /// Multiplies the scores. `None`: `K^-1/2`.
    pub scale: Option<f64>,
    /// `[B, T]`, true where everything before the token is hidden from it and from later ones.
    pub resets: Option<Tensor<2, Bool>>,
    /// How to compute it: this operator has the forms `Naive`, `Parallel` and, on the CPU, `Kernel`. The time of the last
    /// two is quadratic in the number of tokens given at once. The kernel's memory is linear, and without a tape that of `Parallel`.
    pub form: Form,
}

/// Causal softmax attention in two levels: the landmark at the end of an earlier block says how much of the block is read, a
/// softmax inside the block how that is shared.
///
/// ```text
/// s_ij = scale · q_iᵀ k_j
/// top  = softmax of s_ij over j in C_i ∪ L_i                 one softmax for both
/// p_ij = top_j                                               j in C_i
/// p_ij = top_l · softmax of s_ij over the block of l         j an ordinary token in the block of l, l in L_i
/// o_i  = Σ_j p_ij v_j
/// ```
///
/// Where
///
/// * a block is the tokens after a landmark up to and including the next one,
/// * `C_i` are the ordinary tokens `j <= i` of the block of token `i`,
/// * `L_i` are the landmarks of the blocks before it. That of its own block counts for none of its tokens, itself included,
/// * landmarks have the weight 0: their values are never read.
///
/// An earlier block without ordinary tokens loses the weight of its landmark: the weights then sum to less than 1. A token
/// that sees nothing, a landmark after a landmark or at the beginning, reads zeros if there are no earlier blocks.
///
/// Landmarks may lie anywhere. Their places, and those of resets, are read from the device.
///
/// # Shapes
///
/// * `query`: `[B, T, H, K]`.
/// * `key`: `[B, T, HK, K]`, `value`: `[B, T, HK, V]`; `HK` divides `H`, and query head `j` reads
///   key head `j / (H / HK)`.
/// * `landmarks`: `[B, T]`, true for landmarks.
/// * Returns the output `[B, T, H, V]` and the cache after the last token: the keys and values since the earliest of
///   the sequences' last resets.
///
/// # Panics
///
/// If a shape disagrees, `HK` does not divide `H`, `T`, `H`, `K` or `V` is 0, or a form is asked for that this operator does
/// not have.
///
/// # Finite numbers
///
/// What a reset hides does not count even where it is NaN or infinite. With the kernel or with resets, an output that sees
/// something infinite is NaN; else all outputs of the call may be.
///
/// # Source
///
/// Mohtashami and Jaggi 2023, <https://arxiv.org/abs/2305.16300> (sec. 3.1, 3.2), in the variant of their `lm_benchmark`.
/// In that of their `llama_legacy`, a token that sees nothing reads the mean of what is hidden from it.
#[track_caller]
pub fn landmark_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    landmarks: Tensor<2, Bool>,
    options: LandmarkOptions,
) -> (Tensor<4>, LandmarkState) {
    let dtype = query.dtype();
    let report = landmark_attention_report(query.dims()[1], &options, &query.device());
    let problem = Problem::new(query, key, value, landmarks, options);
    let (output, state) = match report.form {
        // Of no sequences there is nothing to attend to.
        _ if problem.query.dims()[0] == 0 => problem.of_no_sequences(),
        Form::Naive => naive::naive(problem),
        #[cfg(feature = "flex")]
        Form::Kernel => kernel::run(problem),
        _ => parallel::parallel(problem),
    };
    (to_dtype(output, dtype), state.without_hidden())
}

/// Which form [`landmark_attention`] takes for `time` tokens on `device` under `options`, and why.
///
/// # Panics
///
/// As [`landmark_attention`] does, if the form asked for cannot be had.
#[track_caller]
pub fn landmark_attention_report(time: usize, options: &LandmarkOptions, device: &Device) -> Report {
    // One token is no different from many: it sees the whole cache.
    let visible = options.initial_state.as_ref().and_then(|state| state.visible.as_ref());
    let kernel = super::kernel_on(device, visible);
    options.form.resolve(time, &Forms { many_tokens: Form::Parallel, one_token: Form::Parallel, kernel })
}

/// Arguments after checking, in the accumulator's dtype.
struct Problem {
    query: Tensor<4>,           // [b, t, h, k]
    key: Tensor<4>,             // [b, t, hk, k]
    value: Tensor<4>,           // [b, t, hk, v]
    landmarks: Tensor<2, Bool>, // [b, t]
    cache: Option<LandmarkState>,
    scale: f64,
    resets: Option<Tensor<2, Bool>>,
}

impl Problem {
    #[track_caller]
    fn new(
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        landmarks: Tensor<2, Bool>,
        options: LandmarkOptions,
    ) -> Self {
        let [batch, time, heads, key_dim] = query.dims();
        let [_, _, key_heads, value_dim] = value.dims();
        checks::not_empty("query", "time", time);
        checks::not_empty("query", "head", heads);
        checks::not_empty("query", "channel", key_dim);
        checks::not_empty("value", "channel", value_dim);
        let tokens =
            |length: (&'static str, usize), channels| [("B", batch), length, ("HK", key_heads), channels];
        let (keys, values) = (("K", key_dim), ("V", value_dim));
        checks::shape("key", &key.dims(), &tokens(("T", time), keys));
        checks::shape("value", &value.dims(), &tokens(("T", time), values));
        checks::divides("key", key_heads, "query", heads);
        checks::shape("landmarks", &landmarks.dims(), &[("B", batch), ("T", time)]);
        if let Some(resets) = &options.resets {
            checks::shape("resets", &resets.dims(), &[("B", batch), ("T", time)]);
        }
        let wide = accumulator(query.dtype());
        let cache = options.initial_state.and_then(|state| {
            let length = state.length();
            checks::shape("initial_state.keys", &state.keys.dims(), &tokens(("S", length), keys));
            checks::shape("initial_state.values", &state.values.dims(), &tokens(("S", length), values));
            let flags = [("B", batch), ("S", length)];
            checks::shape("initial_state.landmarks", &state.landmarks.dims(), &flags);
            if let Some(visible) = &state.visible {
                checks::shape("initial_state.visible", &visible.dims(), &flags);
            }
            (length > 0).then(|| state.widened(wide))
        });
        Self {
            query: to_dtype(query, wide),
            key: to_dtype(key, wide),
            value: to_dtype(value, wide),
            landmarks,
            cache,
            scale: options.scale.unwrap_or((key_dim as f64).powf(-0.5)),
            resets: options.resets,
        }
    }

    /// The output and the cache of no sequences: the heads are the queries' and the channels the values'.
    fn of_no_sequences(self) -> (Tensor<4>, LandmarkState) {
        let [_, time, heads, _] = self.query.dims();
        let [_, _, _, channels] = self.value.dims();
        let output = self.value.clone().reshape([0, time, heads, channels]);
        let (keys, values) = (self.key.into(), self.value.into());
        (output, LandmarkState { keys, values, landmarks: self.landmarks, visible: None })
    }
}

impl LandmarkState {
    /// The cache after more tokens. `visible` says of what is in it.
    fn after(
        past: Option<Self>,
        key: Tensor<4>,
        value: Tensor<4>,
        landmarks: Tensor<2, Bool>,
        visible: Option<Tensor<2, Bool>>,
    ) -> Self {
        match past {
            None => Self { keys: key.into(), values: value.into(), landmarks, visible },
            Some(past) => Self {
                keys: past.keys.append(key),
                values: past.values.append(value),
                landmarks: Tensor::cat(vec![past.landmarks, landmarks], 1),
                visible,
            },
        }
    }

    /// The cache after one more token, `[B, 1, ...]`, from which `reset` hides the others.
    fn step(
        past: Option<Self>,
        key: Tensor<4>,
        value: Tensor<4>,
        landmark: Tensor<2, Bool>,
        reset: Option<Tensor<2, Bool>>,
    ) -> Self {
        let own = Tensor::<2, Bool>::full(landmark.dims(), true, &landmark.device());
        let visible = match &past {
            None => own,
            Some(past) => {
                let shape = [own.dims()[0], past.length()];
                let mut visible = past.visible.clone().unwrap_or_else(|| own.clone().expand(shape));
                if let Some(reset) = reset {
                    visible = visible.bool_and(reset.bool_not().expand(shape));
                }
                Tensor::cat(vec![visible, own], 1)
            }
        };
        Self::after(past, key, value, landmark, Some(visible))
    }

    /// Without the oldest entries that are hidden from every sequence, and without a mask that hides nothing.
    fn without_hidden(self) -> Self {
        let Some(visible) = &self.visible else { return self };
        let [batch, length] = visible.dims();
        let flags: Vec<bool> = visible.to_data().iter().collect();
        let rows = || flags.chunks_exact(length);
        let first = |row: &[bool]| row.iter().position(|visible| *visible).unwrap_or(length);
        let Some(hidden) = rows().map(first).min().filter(|hidden| *hidden < length) else { return self };
        let count = length - hidden;
        let kept: Vec<bool> = rows().flat_map(|row| row[hidden..].iter().copied()).collect();
        let device = visible.device();
        Self {
            keys: self.keys.newest(count),
            values: self.values.newest(count),
            landmarks: self.landmarks.narrow(1, hidden, count),
            visible: kept
                .contains(&false)
                .then(|| Tensor::from_data(TensorData::new(kept, [batch, count]), &device)),
        }
    }

    /// In the dtype `wide`. Entries that are of it keep their room.
    fn widened(self, wide: DType) -> Self {
        let widened = |entries: Entries| match entries.dtype() == wide {
            true => entries,
            false => to_dtype(entries.tensor(), wide).into(),
        };
        Self { keys: widened(self.keys), values: widened(self.values), ..self }
    }

    /// The number of entries.
    fn length(&self) -> usize {
        self.keys.dims()[1]
    }
}
