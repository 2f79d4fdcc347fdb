//! Retrieval from a modern Hopfield network: attention whose query is what it retrieved last.

use crate::checks;
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{Bool, Tensor, activation::softmax};

/// Options of [`retrieve`].
#[derive(Clone, Debug, Default)]
pub struct RetrievalOptions {
    /// The inverse temperature, which multiplies the scores. `None`: `K^-1/2`.
    pub beta: Option<f64>,
    /// How often a state pattern is replaced by what it retrieves, before the association that is returned. Default: `0`,
    /// attention.
    pub steps: usize,
    /// A head whose associations changed by no more than this at a step, in the Euclidean norm over all its state and
    /// stored patterns, in every sequence of the batch, is left as it is. `None`: every head takes all steps.
    pub epsilon: Option<f64>,
}

/// What [`retrieve`] returns.
#[derive(Clone, Debug)]
pub struct Retrieval {
    /// What is read from the projections, `[B, S, H, V]`.
    pub output: Tensor<4>,
    /// The associations of state patterns with stored ones, `[B, H, S, L]`; every row has a sum of 1.
    pub association: Tensor<4>,
}

/// Retrieval of stored patterns by state patterns.
///
/// ```text
/// p = softmax over l of  β · ξᵀ x_l        ξ ← Σ_l p_l x_l        `steps` times
/// p = softmax over l of  β · ξᵀ x_l        o = Σ_l p_l y_l
/// ```
///
/// for state patterns `ξ`, stored patterns `x` and projections `y` of them. An update is a descent of the network's energy,
/// `−log(Σ exp(β ξᵀ x_l)) / β + ξᵀξ / 2`, and one is as a rule enough.
///
/// A head that has converged (see [`RetrievalOptions::epsilon`]) keeps its associations, as in the authors' program. That saves no
/// time here: whether it has is not read from the device, and all heads take all steps.
///
/// # Shapes
///
/// * `state`: `[B, S, H, K]`, `stored`: `[B, L, H, K]`, `projection`: `[B, L, H, V]`.
///
/// # Panics
///
/// If a shape disagrees, or `S`, `L`, `H`, `K` or `V` is 0.
///
/// # Source
///
/// Ramsauer et al. 2020, <https://arxiv.org/abs/2008.02217> (eq. 2 and 3).
#[track_caller]
pub fn retrieve(
    state: Tensor<4>,
    stored: Tensor<4>,
    projection: Tensor<4>,
    options: RetrievalOptions,
) -> Retrieval {
    let [batch, states, heads, key_dim] = state.dims();
    let [_, length, _, value_dim] = projection.dims();
    checks::not_empty("state", "pattern", states);
    checks::not_empty("state", "head", heads);
    checks::not_empty("state", "channel", key_dim);
    checks::not_empty("projection", "pattern", length);
    checks::not_empty("projection", "channel", value_dim);
    checks::shape("stored", &stored.dims(), &[("B", batch), ("L", length), ("H", heads), ("K", key_dim)]);
    let wanted = [("B", batch), ("L", length), ("H", heads), ("V", value_dim)];
    checks::shape("projection", &projection.dims(), &wanted);
    let (dtype, device) = (state.dtype(), state.device());
    if batch == 0 {
        return Retrieval {
            output: Tensor::zeros([0, states, heads, value_dim], (&device, dtype)),
            association: Tensor::zeros([0, heads, states, length], (&device, dtype)),
        };
    }
    let beta = options.beta.unwrap_or((key_dim as f64).powf(-0.5));
    let heads_first = |patterns| to_dtype(patterns, accumulator(dtype)).swap_dims(1, 2);
    let (state, stored, projection) = (heads_first(state), heads_first(stored), heads_first(projection));
    let associated = |state: Tensor<4>| {
        softmax(state.matmul(stored.clone().swap_dims(2, 3)).mul_scalar(beta), 3) // [b, h, s, l]
    };

    let mut association = associated(state);
    let mut settled: Option<Tensor<4, Bool>> = None; // [1, h, 1, 1]
    for _ in 0..options.steps {
        let next = associated(association.clone().matmul(stored.clone()));
        let next = match &settled {
            Some(settled) => next.mask_where(settled.clone().expand(association.dims()), association.clone()),
            None => next,
        };
        if let Some(epsilon) = options.epsilon {
            settled = Some(settles(next.clone() - association, epsilon, settled));
        }
        association = next;
    }
    let output = association.clone().matmul(projection).swap_dims(1, 2);
    Retrieval { output: to_dtype(output, dtype), association: to_dtype(association, dtype) }
}

/// The heads that have settled after associations changed by `change`, `[b, h, s, l]`.
fn settles(change: Tensor<4>, epsilon: f64, before: Option<Tensor<4, Bool>>) -> Tensor<4, Bool> {
    let norm = change.detach().square().sum_dim(3).sum_dim(2).max_dim(0).sqrt(); // [1, h, 1, 1]
    let settled = norm.lower_equal_scalar(epsilon);
    match before {
        Some(before) => before.bool_or(settled),
        None => settled,
    }
}
