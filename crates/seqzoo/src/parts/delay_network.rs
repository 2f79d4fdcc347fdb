//! The fixed linear memory of the Legendre memory unit.

use super::System;
use super::same_sequence::SameSequence;
use crate::ConfigError;
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use std::fmt::{Debug, Formatter};
use std::sync::{Arc, OnceLock};

const CHUNK: usize = DelayNetwork::CHUNK;

/// The largest order: its exponential takes a time that grows with the third power.
const MAX_ORDER: usize = 512;

/// A sliding window of `θ` tokens over a signal, held as `d` Legendre coefficients: the delay network
/// ([`System::delay`]) at rate `1/θ`, by zero-order hold.
///
/// ```text
/// m_t = Ā m_{t-1} + B̄ u_t        Ā = e^(A/θ)        B̄ = A⁻¹ (Ā − 1) B
/// ```
///
/// It has no parameters. Its tables are computed in `f64` on the host at the first use, and shared by all clones.
#[derive(Clone)]
pub(crate) struct DelayNetwork {
    order: usize,
    theta: f64,
    tables: Arc<OnceLock<Tables>>,
}

/// What a chunk wants.
struct Tables {
    /// `Ā^(t + 1)`, transposed: `[d, CHUNK, d]`, from the state's numbers to those of every token.
    from_state: Vec<f64>,
    /// `Ā^t B̄`, `[CHUNK, d]`.
    impulse: Vec<f64>,
}

impl Debug for DelayNetwork {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "DelayNetwork {{ order: {}, theta: {} }}", self.order, self.theta)
    }
}

impl DelayNetwork {
    /// Tokens that are taken by one product.
    pub const CHUNK: usize = 32;

    pub fn new(layer: &str, order: usize, theta: f64) -> Result<Self, ConfigError> {
        ConfigError::unless((1..=MAX_ORDER).contains(&order), layer, || {
            format!("order = {order}, but 1 to {MAX_ORDER} coefficients are wanted")
        })?;
        ConfigError::unless(theta.is_finite() && theta >= 1.0, layer, || {
            format!("theta = {theta}, but a finite number of at least 1 token is wanted")
        })?;
        Ok(Self { order, theta, tables: Arc::default() })
    }

    pub fn order(&self) -> usize {
        self.order
    }

    /// The coefficients after every token, `[B, T, M, d]`, of the signals `[B, T, M]` from the state `[B, M, d]`.
    pub fn forward(
        &self,
        signals: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        mut state: Tensor<3>,
    ) -> Tensor<4> {
        let [_, time, _] = signals.dims();
        let chunk = Chunk::new(self, CHUNK.min(time), signals.dtype(), &signals.device());
        let parts = (0..time).step_by(CHUNK).map(|from| {
            let length = CHUNK.min(time - from);
            let resets = resets.clone().map(|resets| SameSequence::of(resets.narrow(1, from, length)));
            let all = chunk.forward(signals.clone().narrow(1, from, length), resets, state.clone());
            state = all.clone().narrow(1, length - 1, 1).squeeze_dim(1);
            all
        });
        Tensor::cat(parts.collect(), 1)
    }

    fn tables(&self) -> &Tables {
        self.tables.get_or_init(|| {
            let order = self.order;
            let (a, b) = hold(&System::delay(order), 1.0 / self.theta);
            let mut from_state = vec![0.0; order * CHUNK * order];
            let mut impulse = Vec::with_capacity(CHUNK * order);
            let (mut power, mut vector) = (a.clone(), b);
            for t in 0..CHUNK {
                impulse.extend_from_slice(&vector);
                for (to, row) in power.chunks_exact(order).enumerate() {
                    for (from, number) in row.iter().enumerate() {
                        from_state[(from * CHUNK + t) * order + to] = *number;
                    }
                }
                vector = a.chunks_exact(order).map(|row| dot(row, &vector)).collect();
                power = product(&a, &power, order);
            }
            Tables { from_state, impulse }
        })
    }
}

/// The tables of a chunk of up to `C` tokens, as tensors.
struct Chunk {
    from_state: Tensor<3>,  // [d, C, d]
    from_tokens: Tensor<3>, // [t, s, d], zero for s > t
}

impl Chunk {
    fn new(network: &DelayNetwork, length: usize, dtype: DType, device: &Device) -> Self {
        let (order, tables) = (network.order, network.tables());
        let from_state = tables.from_state.chunks_exact(CHUNK * order);
        let from_state: Vec<f64> = from_state.flat_map(|rows| rows[..length * order].to_vec()).collect();
        let mut from_tokens = vec![0.0; length * length * order];
        for (t, row) in from_tokens.chunks_exact_mut(length * order).enumerate() {
            for (s, entry) in row.chunks_exact_mut(order).enumerate().take(t + 1) {
                entry.copy_from_slice(&tables.impulse[(t - s) * order..(t - s + 1) * order]);
            }
        }
        let tensor =
            |numbers, shape: [usize; 3]| Tensor::from_data(TensorData::new(numbers, shape), (device, dtype));
        Self {
            from_state: tensor(from_state, [order, length, order]),
            from_tokens: tensor(from_tokens, [length, length, order]),
        }
    }

    /// `[B, t, M]` from `[B, M, d]` to `[B, t, M, d]`.
    fn forward(&self, signals: Tensor<3>, resets: Option<SameSequence>, state: Tensor<3>) -> Tensor<4> {
        let [batch, time, channels] = signals.dims();
        let [order, _, _] = self.from_state.dims();
        let rows = batch * channels;
        let shape = [batch, channels, time, order];
        let from_state = self.from_state.clone().narrow(1, 0, time).reshape([order, time * order]);
        let mut carried = state.reshape([rows, order]).matmul(from_state).reshape(shape);
        let from_tokens = self.from_tokens.clone().narrow(0, 0, time).narrow(1, 0, time);
        let signals = signals.swap_dims(1, 2); // [b, m, s]
        let written = match resets {
            None => {
                let table = from_tokens.swap_dims(0, 1).reshape([time, time * order]);
                signals.reshape([rows, time]).matmul(table).reshape(shape)
            }
            Some(resets) => {
                let later = resets.later.reshape([batch, 1, time, 1]).expand(shape);
                carried = carried.mask_fill(later, 0.0);
                let seen = [batch, channels, time, time]; // [b, m, t, s]
                let other = resets.other.unsqueeze_dim::<4>(1).expand(seen);
                let seen = signals.unsqueeze_dim::<4>(2).expand(seen).mask_fill(other, 0.0);
                let seen = seen.reshape([rows, time, time]).swap_dims(0, 1); // [t, b·m, s]
                seen.matmul(from_tokens).swap_dims(0, 1).reshape(shape)
            }
        };
        (carried + written).swap_dims(1, 2)
    }
}

/// `e^(A·step)` and `A⁻¹ (e^(A·step) − 1) B`: the last column of `e^M` for `M = [[A, B], [0, 0]]·step`, by scaling,
/// a Taylor sum, and squaring.
fn hold(system: &System, step: f64) -> (Vec<f64>, Vec<f64>) {
    let order = system.order();
    let size = order + 1;
    let mut matrix = vec![0.0; size * size];
    for ((row, from), b) in matrix.chunks_exact_mut(size).zip(system.a.chunks_exact(order)).zip(&system.b) {
        row[..order].copy_from_slice(from);
        row[order] = *b;
    }
    matrix.iter_mut().for_each(|entry| *entry *= step);
    let norm =
        matrix.chunks_exact(size).map(|row| row.iter().map(|x| x.abs()).sum::<f64>()).fold(0.0, f64::max);
    // Halved until the norm is at most 1/2, where the sixteenth term is below the precision of f64.
    let halvings = (norm.log2() + 1.0).ceil().max(0.0) as i32;
    matrix.iter_mut().for_each(|entry| *entry *= 0.5f64.powi(halvings));
    // Horner's rule: 1 + M (1 + M/2 (1 + M/3 (..))).
    let mut sum = identity(size);
    for term in (1..=16).rev() {
        let scaled: Vec<f64> = matrix.iter().map(|entry| entry / term as f64).collect();
        sum = product(&scaled, &sum, size);
        (0..size).for_each(|n| sum[n * size + n] += 1.0);
    }
    for _ in 0..halvings {
        sum = product(&sum, &sum, size);
    }
    let rows = sum.chunks_exact(size).take(order);
    (rows.clone().flat_map(|row| row[..order].to_vec()).collect(), rows.map(|row| row[order]).collect())
}

fn identity(size: usize) -> Vec<f64> {
    let mut all = vec![0.0; size * size];
    (0..size).for_each(|n| all[n * size + n] = 1.0);
    all
}

/// The product of two square matrices, row by row.
fn product(left: &[f64], right: &[f64], size: usize) -> Vec<f64> {
    let mut all = vec![0.0; size * size];
    for (row, factors) in all.chunks_exact_mut(size).zip(left.chunks_exact(size)) {
        for (factor, from) in factors.iter().zip(right.chunks_exact(size)) {
            row.iter_mut().zip(from).for_each(|(entry, number)| *entry += factor * number);
        }
    }
    all
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}
