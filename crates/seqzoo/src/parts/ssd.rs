//! Mamba-2's recurrence as linear attention.

use crate::ops::linear_attention::{Decay, LinearAttentionOptions, LinearAttentionState, linear_attention};
use crate::ops::{Form, Segments, accumulator, checks, to_dtype};
use burn::tensor::{Bool, Tensor, activation::softplus};

/// Options of [`ssd`]. `Default` is the bare recurrence.
#[derive(Clone, Debug, Default)]
pub struct SsdOptions {
    /// Added to `dt` before anything else, `[H]`.
    pub dt_bias: Option<Tensor<1>>,
    /// Whether `dt` then goes through `softplus`.
    pub dt_softplus: bool,
    /// The least and the greatest step; a step outside is moved to the limit, where it has no gradient.
    pub dt_limits: Option<(f64, f64)>,
    /// The skip `D`, `[H, 1]` or `[H, P]`: adds `D ⊙ x_t` to the output.
    pub d: Option<Tensor<2>>,
    /// The state before the first token, `[B, H, N, P]`, or with the number of segments in place of `B`. `None`: zeros.
    pub initial_state: Option<Tensor<4>>,
    /// `[B, T]`, true where the state is cleared before the token.
    pub resets: Option<Tensor<2, Bool>>,
    /// Several sequences in every row, each with a state of its own. `None`: every row is one sequence.
    pub segments: Option<Segments>,
    /// How to compute it.
    pub form: Form,
}

/// The state space of Mamba-2: one rate per head, so that it is linear attention with a scalar decay.
///
/// ```text
/// Δ_t = limits(softplus(dt_t + dt_bias))                  each part if it is asked for
/// S_t = exp(Δ_t A) S_{t-1} + B_t (Δ_t x_t)ᵀ               keys B, values Δ x, log decay Δ A
/// y_t = S_tᵀ C_t + D ⊙ x_t                                queries C, no scale; the skip if it is given
/// ```
///
/// # Shapes
///
/// * `x`: `[B, T, H, P]`; `dt`: `[B, T, H]`; `a`: `[H]`, negative.
/// * `b`, `c`: `[B, T, G, N]`; `G` divides `H`, and head `h` reads group `h / (H / G)`. They are not repeated in memory
///   where the operator has a kernel.
/// * Returns the output `[B, T, H, P]` and the state after the last token, `[B, H, N, P]`, `f32` or wider.
///
/// # Panics
///
/// If a shape or the segments disagree.
///
/// # Source
///
/// Dao & Gu 2024, <https://arxiv.org/abs/2405.21060> (sec. 6 and 7.1).
#[track_caller]
pub fn ssd(
    x: Tensor<4>,
    dt: Tensor<3>,
    a: Tensor<1>,
    b: Tensor<4>,
    c: Tensor<4>,
    options: SsdOptions,
) -> (Tensor<4>, Tensor<4>) {
    let SsdOptions { dt_bias, dt_softplus, dt_limits, d, initial_state, resets, segments, form } = options;
    let [batch, time, heads, _] = x.dims();
    checks::shape("dt", &dt.dims(), &[("B", batch), ("T", time), ("H", heads)]);
    checks::shape("a", &a.dims(), &[("H", heads)]);
    let dtype = x.dtype();
    let wide = accumulator(dtype);
    let mut steps = to_dtype(dt, wide); // [b, t, h]
    if let Some(bias) = dt_bias {
        steps = steps + to_dtype(bias, wide).unsqueeze();
    }
    if dt_softplus {
        steps = softplus(steps, 1.0);
    }
    if let Some((least, most)) = dt_limits {
        steps = steps.clamp(least, most);
    }
    let x = to_dtype(x, wide);
    let options = LinearAttentionOptions {
        initial_state: initial_state.map(|memory| LinearAttentionState { memory, key_sum: None }),
        scale: Some(1.0),
        normaliser: None,
        resets,
        segments,
        form,
    };
    let (read, state) = linear_attention(
        to_dtype(c, wide),
        to_dtype(b, wide),
        x.clone() * steps.clone().unsqueeze_dim(3),
        Decay::Scalar(steps * to_dtype(a, wide).unsqueeze()),
        options,
    );
    let output = match d {
        Some(d) => read + x * to_dtype(d, wide).unsqueeze(),
        None => read,
    };
    (to_dtype(output, dtype), state.memory)
}
