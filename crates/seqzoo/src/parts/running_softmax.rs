//! The softmax average of everything so far, in constant memory.

use crate::ops::{accumulator, checks, to_dtype};
use burn::tensor::{Bool, DType, Device, Int, Tensor};

/// Stands for minus infinity, whose literal some shader languages refuse.
const NOTHING: f64 = -1e30;

/// Tokens whose weights are formed at once.
const CHUNK: usize = 64;

/// What [`running_softmax`] carries from token to token.
#[derive(Clone, Debug)]
pub struct RunningSoftmax {
    /// The largest score so far, `m`, `[B, H]`; `-1e30` before the first token.
    pub max: Tensor<2>,
    /// The sum of the weights, `u = Σ exp(s_j − m)`, `[B, H]`.
    pub weight_sum: Tensor<2>,
    /// The sum of the weighted values, `w = Σ exp(s_j − m) v_j`, `[B, H, V]`.
    pub weighted_values: Tensor<3>,
}

impl RunningSoftmax {
    /// Before the first token: `batch` sequences, `heads` heads of `channels` values.
    pub fn empty([batch, heads, channels]: [usize; 3], dtype: DType, device: &Device) -> Self {
        Self {
            max: Tensor::full([batch, heads], NOTHING, (device, dtype)),
            weight_sum: Tensor::zeros([batch, heads], (device, dtype)),
            weighted_values: Tensor::zeros([batch, heads, channels], (device, dtype)),
        }
    }
}

/// The average of all values so far, weighted by the exponentials of their scores, at every token.
///
/// ```text
/// m_t = max(m_{t-1}, s_t)
/// u_t = u_{t-1} exp(m_{t-1} − m_t) + exp(s_t − m_t)
/// w_t = w_{t-1} exp(m_{t-1} − m_t) + exp(s_t − m_t) v_t
/// o_t = w_t / u_t  =  Σ_{j ≤ t} softmax_j(s_j) v_j
/// ```
///
/// Chunks of tokens are taken at once, each as a matrix of weights `exp(s_j − m_t)` for `j ≤ t`; chunks follow one another
/// by the recurrence. No exponent is above 0, whatever the scores are. Linear attention with the decays `m_{t-1} − m_t`
/// would compute the same, but from cumulative sums of them, in which one large step of `m` takes the digits of all that
/// follow.
///
/// # Shapes
///
/// * `scores`: `[B, T, H]`, finite, above `-1e30`.
/// * `values`: `[B, T, H, V]`.
/// * `resets`: `[B, T]`, true where everything before the token is forgotten. What it hides does not count even where it is
///   NaN or infinite.
/// * Returns the averages `[B, T, H, V]`, in the dtype of the values, and what is carried on, in `f32` or wider.
///
/// # Panics
///
/// If a shape disagrees, or there are no tokens.
///
/// # Source
///
/// Feng et al. 2024, <https://arxiv.org/abs/2405.13956> (sec. 3.1 and 3.2).
#[track_caller]
pub fn running_softmax(
    scores: Tensor<3>,
    values: Tensor<4>,
    resets: Option<Tensor<2, Bool>>,
    state: RunningSoftmax,
) -> (Tensor<4>, RunningSoftmax) {
    let [batch, time, heads, channels] = values.dims();
    checks::not_empty("values", "time", time);
    checks::shape("scores", &scores.dims(), &[("B", batch), ("T", time), ("H", heads)]);
    checks::shape("state.max", &state.max.dims(), &[("B", batch), ("H", heads)]);
    checks::shape("state.weight_sum", &state.weight_sum.dims(), &[("B", batch), ("H", heads)]);
    let wanted = [("B", batch), ("H", heads), ("V", channels)];
    checks::shape("state.weighted_values", &state.weighted_values.dims(), &wanted);
    if let Some(resets) = &resets {
        checks::shape("resets", &resets.dims(), &[("B", batch), ("T", time)]);
    }
    if batch == 0 {
        return (values, state);
    }
    let dtype = values.dtype();
    let wide = accumulator(dtype);
    let scores = to_dtype(scores, wide).swap_dims(1, 2); // [b, h, t]
    // With a 1 beside each value, the weighted sums of the rows are w and u.
    let ones = Tensor::ones([batch, heads, time, 1], (&values.device(), wide));
    let rows = Tensor::cat(vec![to_dtype(values, wide).swap_dims(1, 2), ones], 3); // [b, h, t, v + 1]

    let mut carry = Carry::of(state, wide);
    let mut outputs = Vec::with_capacity(time.div_ceil(CHUNK));
    for start in (0..time).step_by(CHUNK) {
        let length = CHUNK.min(time - start);
        let hidden = match &resets {
            None => Tensor::<2, Bool>::tril_mask([length, 1 + length], 1, &rows.device()).unsqueeze::<4>(),
            Some(resets) => hidden(resets.clone().narrow(1, start, length)),
        };
        let chunk = (scores.clone().narrow(2, start, length), rows.clone().narrow(2, start, length));
        let (max, sums) = carry.read(chunk, hidden, resets.is_some());
        outputs.push(sums.clone().narrow(3, 0, channels) / sums.clone().narrow(3, channels, 1));
        carry =
            Carry { max: max.narrow(2, length - 1, 1).squeeze_dim(3), row: sums.narrow(2, length - 1, 1) };
    }
    (to_dtype(Tensor::cat(outputs, 2).swap_dims(1, 2), dtype), carry.state())
}

/// What the tokens before a chunk left.
struct Carry {
    max: Tensor<3>, // [b, h, 1]
    row: Tensor<4>, // [b, h, 1, v + 1]
}

impl Carry {
    fn of(state: RunningSoftmax, wide: DType) -> Self {
        let [batch, heads, channels] = state.weighted_values.dims();
        let values = to_dtype(state.weighted_values, wide).reshape([batch, heads, 1, channels]);
        let sum = to_dtype(state.weight_sum, wide).reshape([batch, heads, 1, 1]);
        Self {
            max: to_dtype(state.max, wide).reshape([batch, heads, 1]),
            row: Tensor::cat(vec![values, sum], 3),
        }
    }

    fn state(self) -> RunningSoftmax {
        let [batch, heads, _, width] = self.row.dims();
        let channels = width - 1;
        RunningSoftmax {
            max: self.max.reshape([batch, heads]),
            weight_sum: self.row.clone().narrow(3, channels, 1).reshape([batch, heads]),
            weighted_values: self.row.narrow(3, 0, channels).reshape([batch, heads, channels]),
        }
    }

    /// The largest score, `[b, h, c, 1]`, and the weighted sums of the rows, `[b, h, c, v + 1]`, at every token of a chunk:
    /// of what came before it and of its own tokens, but for what is `hidden`, `[b|1, 1, c, 1 + c]`.
    ///
    /// A weight of zero does not hide a row that is NaN or infinite; where `tame`, it does.
    fn read(
        &self,
        (scores, rows): (Tensor<3>, Tensor<4>),
        hidden: Tensor<4, Bool>,
        tame: bool,
    ) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, length] = scores.dims();
        let shape = [batch, heads, length, 1 + length];
        let scores = Tensor::cat(vec![self.max.clone(), scores], 2).unsqueeze_dim::<4>(2).expand(shape);
        let rows = Tensor::cat(vec![self.row.clone(), rows], 2);
        let hidden = hidden.expand(shape);
        let scores = scores.mask_fill(hidden.clone(), NOTHING);
        let max = scores.clone().max_dim(3);
        let weights = (scores - max.clone()).exp();
        if !tame {
            return (max, weights.matmul(rows));
        }
        let wild = rows.clone().is_finite().bool_not();
        let seen = hidden.bool_not().float().matmul(wild.clone().any_dim(3).float()); // [b, h, c, 1]
        let sums = weights.matmul(rows.mask_fill(wild, 0.0));
        let poisoned = seen.greater_scalar(0.0).expand(sums.dims());
        (max, sums.mask_fill(poisoned, f64::NAN))
    }
}

/// True where a token of a chunk does not see what came before it (the first column) or a token of it: `[b, 1, c, 1 + c]`.
fn hidden(resets: Tensor<2, Bool>) -> Tensor<4, Bool> {
    let [batch, length] = resets.dims();
    let device = resets.device();
    let rows = resets.int().cumsum(1); // the number of resets up to each token
    let columns = Tensor::cat(vec![Tensor::<2, Int>::zeros([batch, 1], &device), rows.clone()], 1);
    let shape = [batch, length, 1 + length];
    let foreign =
        rows.unsqueeze_dim::<3>(2).expand(shape).not_equal(columns.unsqueeze_dim::<3>(1).expand(shape));
    let later = Tensor::<2, Bool>::tril_mask([length, 1 + length], 1, &device);
    foreign.bool_or(later.unsqueeze::<3>().expand(shape)).unsqueeze_dim(1)
}
