//! The parameters of a state space whose transition is diagonal plus low rank, and its recurrence in chunks.

use super::diagonal_state_space::{complex, log_steps, of_each_channel, powers, reciprocal};
use super::same_sequence::SameSequence;
use super::{Hippo, NormalPlusLowRank, RealTransform};
use crate::config::{check_channels, check_numbers};
use crate::ops::{Complex, accumulator, to_dtype};
use crate::{ConfigError, Undecayed};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Bool, DType, Device, Tensor};

/// Configuration of a [`DplrStateSpace`].
#[derive(Config, Debug)]
pub struct DplrStateSpaceConfig {
    /// The number of channels `H`, each with a state space of its own.
    pub channels: usize,
    /// Numbers `N` in the state of a channel, even, at most 512: `N/2` complex numbers and their conjugates.
    /// Default: `64`.
    #[config(default = 64)]
    pub d_state: usize,
    /// The smallest step `Δ` initially. Default: `0.001`.
    #[config(default = 1e-3)]
    pub dt_min: f64,
    /// The largest step `Δ` initially. Default: `0.1`.
    #[config(default = 1e-1)]
    pub dt_max: f64,
    /// The HiPPO system that every channel begins with. Default: [`Hippo::LegS`].
    #[config(default = "Hippo::LegS")]
    pub measure: Hippo,
    /// What makes the decays of their parameters. Default: [`RealTransform::Exp`].
    #[config(default = "RealTransform::Exp")]
    pub real_transform: RealTransform,
}

impl DplrStateSpaceConfig {
    /// The parameters. `subject` is the layer that errors are about.
    ///
    /// # Errors
    ///
    /// If there are no channels, `d_state` is odd, 0 or above 512, or the steps are not positive and in order.
    pub fn try_init(&self, subject: &str, device: &Device) -> Result<DplrStateSpace, ConfigError> {
        let (channels, d_state) = (self.channels, self.d_state);
        check_channels(subject, "d_model", channels)?;
        Hippo::check(subject, d_state)?;
        check_numbers(subject, "the state of each sequence", &[channels, d_state])?;
        let NormalPlusLowRank { real, imaginary, b, p } = self.measure.normal_plus_low_rank(d_state);
        let pairs = d_state / 2;
        let columns = p.into_iter().flatten().flatten().collect();
        let rank = self.measure.rank();
        Ok(DplrStateSpace {
            log_dt: log_steps(subject, channels, self.dt_min, self.dt_max, device)?,
            a_real: Initializer::Constant { value: self.real_transform.inverse(-real) }
                .init([channels, pairs], device)
                .into(),
            a_imag: of_each_channel([channels, pairs], imaginary, device).into(),
            p: of_each_channel([channels, rank, pairs, 2], columns, device).into(),
            b: of_each_channel([channels, pairs, 2], b.into_iter().flatten().collect(), device).into(),
            // Complex numbers of variance 1.
            c: Initializer::Normal { mean: 0.0, std: 0.5f64.sqrt() }.init([channels, pairs, 2], device),
            real_transform: self.real_transform,
        })
    }
}

/// The parameters of a linear state space for each of `H` channels, in continuous time, with a transition that is
/// diagonal plus low rank in the complex numbers:
///
/// ```text
/// x'(t) = A x(t) + B u(t)        y(t) = 2 Re(C · x(t))        A = diag(Λ) − P Pᴴ
/// ```
///
/// and over tokens that are `Δ` apart, by the bilinear rule:
///
/// ```text
/// h_t = Ā h_{t-1} + B̄ u_t        Ā = (1 − Δ/2 A)⁻¹ (1 + Δ/2 A)
/// y_t = 2 Re(C · h_t)            B̄ = (1 − Δ/2 A)⁻¹ Δ B
/// ```
///
/// Where
///
/// * of each pair of conjugates one is kept, so that `Pᴴ x` is the real number `2 Re(conj(P) · x)`,
/// * `Λ = −decay + i ω`, the decay made of a parameter by a [`RealTransform`],
/// * `Δ = e^log_dt`, log-uniform between `dt_min` and `dt_max` initially,
/// * `Λ`, `P` and `B` begin as a [`Hippo`] system, in the basis of [`NormalPlusLowRank`]. (The authors' code also limits
///   the imaginary parts of `B`, which have an arbitrary phase, to 2.)
///
/// `C` is the matrix that reads the state. The authors' code learns `(1 − Ā^L)ᵀ C` for the length `L` of a filter instead,
/// which has no meaning of its own where sequences are of any length.
///
/// # How chunks are taken
///
/// The identity of Woodbury makes `Ā = diag(E) − U V` with `E = (1 + ΔΛ/2)/(1 − ΔΛ/2)` and one or two real functionals
/// `V`. So the recurrence is a diagonal one with the inputs `u_t` and the feedback `f_t = V h_{t-1}`, and filters of powers
/// of `E` say how each input reaches `y` and `f`. The feedback reaches itself only later: within a chunk that is a lower
/// triangular system with ones on the diagonal, the same for every chunk, and its inverse closes the loop once per call.
/// (The original closes the same loop for the generating functions of the filters, at roots of unity.)
///
/// The state, `h`, takes `4·H·N` bytes per sequence.
///
/// Source: Gu et al. 2021, <https://arxiv.org/abs/2111.00396> (sec. 3, app. C).
///
/// Should be created with [`DplrStateSpaceConfig`].
#[derive(Module, Debug)]
pub struct DplrStateSpace {
    /// `ln Δ`, `[H]`.
    pub log_dt: Undecayed<1>,
    /// What the real transform makes `−Re Λ` of, `[H, N/2]`.
    pub a_real: Undecayed<2>,
    /// `Im Λ`, `[H, N/2]`.
    pub a_imag: Undecayed<2>,
    /// The columns of `P`, `[H, R, N/2, 2]`: real and imaginary parts.
    pub p: Undecayed<4>,
    /// `B`, `[H, N/2, 2]`.
    pub b: Undecayed<3>,
    /// `C`, `[H, N/2, 2]`.
    pub c: Param<Tensor<3>>,
    #[module(skip)]
    real_transform: RealTransform,
}

impl DplrStateSpace {
    /// Tokens that are taken by one product.
    pub const CHUNK: usize = 64;

    /// `H` and the complex numbers `N/2` per channel.
    pub fn dims(&self) -> [usize; 2] {
        let shape = self.a_real.lazy_shape();
        [shape[0], shape[1]]
    }

    /// `[B, T, H]` to `[B, T, H]` from the state `h`, `[B, H, N/2]`, with the state after the last token. `resets` is
    /// `[B, T]`, true where the state is cleared before the token.
    pub fn forward(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Complex<3>,
    ) -> (Tensor<3>, Complex<3>) {
        let [_, time, _] = input.dims();
        let dtype = input.dtype();
        let wide = accumulator(dtype);
        let system = self.discretised(wide);
        let loops = system.close(time.min(Self::CHUNK));
        let input = to_dtype(input, wide).permute([2, 1, 0]); // [h, t, b]
        // Through one axis and back, so that the numbers lie in one order wherever the state comes from: products round
        // otherwise for another order, and a stream continues from a file to the last bit.
        let [batch, channels, pairs] = state.dims();
        let mut state = state.map(|part| {
            let turned = to_dtype(part, wide).permute([1, 2, 0]);
            turned.reshape([channels * pairs * batch]).reshape([channels, pairs, batch]) // [h, n, b]
        });
        let mut outputs = Vec::with_capacity(time.div_ceil(Self::CHUNK));
        for from in (0..time).step_by(Self::CHUNK) {
            let length = Self::CHUNK.min(time - from);
            let resets = resets.clone().map(|resets| SameSequence::of(resets.narrow(1, from, length)));
            let (output, next) = loops.forward(&system, input.clone().narrow(1, from, length), resets, state);
            outputs.push(output);
            state = next;
        }
        let output = to_dtype(Tensor::cat(outputs, 1).permute([2, 1, 0]), dtype);
        (output, state.map(|part| part.permute([2, 0, 1])))
    }

    /// The filter that the recurrence convolves with, `[H, L]`: `K_l = 2 Re(C Ā^l B̄)`, for identities and tests.
    pub fn filter(&self, length: usize) -> Tensor<2> {
        let [channels, pairs] = self.dims();
        let c = self.c.val();
        let (device, wide) = (c.device(), accumulator(c.dtype()));
        let first = Tensor::ones([1, 1, channels], (&device, wide));
        let rest = Tensor::zeros([1, length, channels], (&device, wide));
        let impulse = Tensor::cat(vec![first, rest], 1).narrow(1, 0, length);
        let (output, _) = self.forward(impulse, None, Complex::zeros([1, channels, pairs], (&device, wide)));
        output.squeeze_dim::<2>(0).transpose()
    }

    fn discretised(&self, wide: DType) -> Discrete {
        let decay = self.real_transform.apply(to_dtype(self.a_real.val(), wide));
        let step = to_dtype(self.log_dt.val(), wide).exp().unsqueeze_dim::<2>(1); // [h, 1]
        let half = Complex::new(decay.neg(), to_dtype(self.a_imag.val(), wide))
            .map(|part| part * step.clone().div_scalar(2.0)); // ΔΛ/2
        let resolvent =
            reciprocal(Complex::new(half.re.clone().neg().add_scalar(1.0), half.im.clone().neg()));
        let eigenvalues = Complex::new(half.re.add_scalar(1.0), half.im).times(resolvent.clone());

        let resolvent = resolvent.map(|part| part.unsqueeze_dim::<3>(1)); // [h, 1, n]
        let step = step.unsqueeze_dim::<3>(1); // [h, 1, 1]
        let p = to_dtype(self.p.val(), wide);
        let part = |index| p.clone().narrow(3, index, 1).squeeze_dim::<3>(3);
        let p = Complex::new(part(0), part(1)); // [h, r, n]
        let b = complex(to_dtype(self.b.val(), wide)).map(|part| part.unsqueeze_dim::<3>(1));
        let c = complex(to_dtype(self.c.val(), wide)).map(|part| part.unsqueeze_dim::<3>(1).mul_scalar(2.0));

        let spread = |part: &Tensor<3>, like: &Complex<3>| part.clone().expand(like.dims());
        let over = |resolvent: &Complex<3>, like: &Complex<3>| {
            Complex::new(spread(&resolvent.re, like), spread(&resolvent.im, like))
        };
        // V = 2 conj(P) (1 − ΔΛ/2)⁻¹, and 1 + Δ/2 V P, whose inverse Woodbury wants.
        let feedback = Complex::new(p.re.clone(), p.im.clone().neg())
            .map(|part| part.mul_scalar(2.0))
            .times(over(&resolvent, &p));
        let capacitance = real_products(&feedback, &p) * step.clone().div_scalar(2.0);
        let inverse = small_inverse(capacitance); // [h, r, r]
        // U = Δ (1 − ΔΛ/2)⁻¹ P (..)⁻¹
        let columns = p.map(|part| inverse.clone().transpose().matmul(part) * step.clone());
        let columns = columns.clone().times(over(&resolvent, &columns));
        // B̄ = Δ (1 − ΔΛ/2)⁻¹ B − U (V B) Δ/2
        let along = real_products(&feedback, &b) * step.clone().div_scalar(2.0); // [h, r, 1]
        let direct = b.times(resolvent).map(|part| part * step.clone());
        let lost = columns.clone().map(|part| along.clone().transpose().matmul(part));
        let written = Complex::new(direct.re - lost.re, direct.im - lost.im);
        let columns = columns.map(Tensor::neg);
        Discrete {
            eigenvalues,
            inputs: Complex::new(
                Tensor::cat(vec![written.re, columns.re], 1),
                Tensor::cat(vec![written.im, columns.im], 1),
            ),
            outputs: Complex::new(
                Tensor::cat(vec![c.re, feedback.re], 1),
                Tensor::cat(vec![c.im, feedback.im], 1),
            ),
        }
    }
}

/// `Re(x · y)` of the rows of `left`, `[H, I, N]`, and `right`, `[H, J, N]`: `[H, I, J]`.
fn real_products(left: &Complex<3>, right: &Complex<3>) -> Tensor<3> {
    left.re.clone().matmul(right.re.clone().transpose())
        - left.im.clone().matmul(right.im.clone().transpose())
}

/// `(1 + x)⁻¹` of matrices of one or two rows, `[H, R, R]`.
fn small_inverse(x: Tensor<3>) -> Tensor<3> {
    let entry = |row, column| x.clone().narrow(1, row, 1).narrow(2, column, 1);
    let a = entry(0, 0).add_scalar(1.0);
    if x.dims()[1] == 1 {
        return a.recip();
    }
    let (b, c, d) = (entry(0, 1), entry(1, 0), entry(1, 1).add_scalar(1.0));
    let determinant = a.clone() * d.clone() - b.clone() * c.clone();
    let rows = [vec![d, b.neg()], vec![c.neg(), a]].map(|row| Tensor::cat(row, 2));
    Tensor::cat(rows.to_vec(), 1) / determinant
}

/// The recurrence: `h_t = E h_{t-1} + B̄ u_t − U f_t` with the feedback `f_t = V h_{t-1}`.
struct Discrete {
    /// `E`, `[H, N]`.
    eigenvalues: Complex<2>,
    /// `B̄` and the columns of `−U`, `[H, 1 + R, N]`.
    inputs: Complex<3>,
    /// `2 C` and the rows of `V`, `[H, 1 + R, N]`.
    outputs: Complex<3>,
}

/// A chunk of up to `C` tokens with its loop closed: how input and state reach `y` and `f`.
struct Closed {
    rank: usize,
    /// `E^0 .. E^C`, `[H, C + 1, N]`.
    powers: Complex<3>,
    /// From the input, `[H, C, 1 + R, C]`.
    from_input: Tensor<4>,
    /// From the state, `[H, C, 1 + R, N]`.
    from_state: Complex<4>,
}

impl Discrete {
    fn close(&self, length: usize) -> Closed {
        let [channels, ways, pairs] = self.inputs.dims();
        let rank = ways - 1;
        let powers = powers(self.eigenvalues.clone(), length + 1);
        // Open filters from every input to every output: Re(O_i I_j E^t), [h, i, j, t].
        let shape = [channels, ways, ways, pairs];
        let rows = self.outputs.clone().map(|part| part.unsqueeze_dim::<4>(2).expand(shape));
        let columns = self.inputs.clone().map(|part| part.unsqueeze_dim::<4>(1).expand(shape));
        let weights = rows.times(columns).map(|part| part.reshape([channels, ways * ways, pairs]));
        let now = powers.clone().map(|part| part.narrow(1, 0, length));
        let filters = real_products(&weights, &now).reshape([channels, ways, ways, length]);
        let to = |output, outputs, input, inputs| {
            filters.clone().narrow(1, output, outputs).narrow(2, input, inputs)
        };
        // What reaches the feedback of a token went in before it.
        let zero = Tensor::zeros([channels, rank, ways, 1], (&filters.device(), filters.dtype()));
        let later = Tensor::cat(vec![zero, to(1, rank, 0, ways)], 3).narrow(3, 0, length);
        let again = toeplitz(later.clone().narrow(2, 1, rank)); // [h, i, j, t, s]
        let again = again.permute([0, 3, 1, 4, 2]).reshape([channels, length * rank, length * rank]);
        let inverse = unit_inverse(again, rank); // [h, t·i, s·j]

        // The closed loop of the feedback, then of the output: y = O₀ (..) + (filters from the feedback) f.
        let once = later.narrow(2, 0, 1).squeeze_dim::<3>(2).swap_dims(1, 2); // [h, t, i]
        let feedback = inverse.clone().matmul(once.reshape([channels, length * rank, 1]));
        let open =
            open(&self.outputs, &now, 1, rank).map(|part| part.reshape([channels, length * rank, pairs]));
        let state_feedback = open.map(|part| inverse.clone().matmul(part));
        let back = toeplitz(to(0, 1, 1, rank)).squeeze_dim::<4>(1); // [h, j, t, s]
        let back = back.permute([0, 2, 3, 1]).reshape([channels, length, length * rank]);
        let filter = to(0, 1, 0, 1).reshape([channels, length, 1]) + back.clone().matmul(feedback.clone());
        let next = powers.clone().map(|part| part.narrow(1, 1, length));
        let direct = open_rows(&self.outputs, &next);
        let read = Complex::new(
            direct.re + back.clone().matmul(state_feedback.re.clone()),
            direct.im + back.matmul(state_feedback.im.clone()),
        );

        let filters = Tensor::cat(vec![filter, feedback.reshape([channels, length, rank])], 2); // [h, t, 1 + r]
        let from_input = toeplitz(filters.swap_dims(1, 2).unsqueeze_dim::<4>(2)).squeeze_dim::<4>(2);
        let shape = [channels, length, rank, pairs];
        let join = |read: Tensor<3>, feedback: Tensor<3>| {
            Tensor::cat(vec![read.unsqueeze_dim::<4>(2), feedback.reshape(shape)], 2)
        };
        Closed {
            rank,
            powers,
            from_input: from_input.swap_dims(1, 2),
            from_state: Complex::new(join(read.re, state_feedback.re), join(read.im, state_feedback.im)),
        }
    }
}

/// The rows `first .. first + count` of `outputs` times every power, `[H, C, count, N]`.
fn open(outputs: &Complex<3>, powers: &Complex<3>, first: usize, count: usize) -> Complex<4> {
    let [channels, length, pairs] = powers.dims();
    let shape = [channels, length, count, pairs];
    let rows = outputs.clone().map(|part| part.narrow(1, first, count).unsqueeze_dim::<4>(1).expand(shape));
    rows.times(powers.clone().map(|part| part.unsqueeze_dim::<4>(2).expand(shape)))
}

/// The first row of `outputs` times every power, `[H, C, N]`.
fn open_rows(outputs: &Complex<3>, powers: &Complex<3>) -> Complex<3> {
    open(outputs, powers, 0, 1).map(|part| part.squeeze_dim(2))
}

impl Closed {
    /// `[H, t, B]` from `[H, N, B]` to `[H, t, B]`, and the state after the last token.
    fn forward(
        &self,
        system: &Discrete,
        input: Tensor<3>,
        resets: Option<SameSequence>,
        state: Complex<3>,
    ) -> (Tensor<3>, Complex<3>) {
        let [channels, time, batch] = input.dims();
        let [_, pairs, _] = state.dims();
        let ways = 1 + self.rank;
        let shape = [channels, time, ways, batch];
        let from_input = self.from_input.clone().narrow(1, 0, time).narrow(3, 0, time);
        let from_state = self
            .from_state
            .clone()
            .map(|part| part.narrow(1, 0, time).reshape([channels, time * ways, pairs]));
        let mut carried = from_state.re.matmul(state.re.clone()) - from_state.im.matmul(state.im.clone());
        let written = match &resets {
            None => from_input.reshape([channels, time * ways, time]).matmul(input.clone()).reshape(shape),
            Some(resets) => {
                let later = resets.later.clone().transpose().reshape([1, time, 1, batch]).expand(shape);
                carried =
                    carried.reshape(shape).mask_fill(later, 0.0).reshape([channels, time * ways, batch]);
                let seen = [channels, time, time, batch]; // [h, t, s, b]
                let other = resets.other.clone().permute([1, 2, 0]).unsqueeze_dim::<4>(0).expand(seen);
                let seen = input.clone().unsqueeze_dim::<4>(1).expand(seen).mask_fill(other, 0.0);
                from_input.matmul(seen)
            }
        };
        let reached = carried.reshape(shape) + written; // y and f
        let output = reached.clone().narrow(2, 0, 1).squeeze_dim(2);
        let feedback = reached.narrow(2, 1, self.rank);

        let mut signals = Tensor::cat(vec![input.unsqueeze_dim::<4>(2), feedback], 2); // [h, s, 1 + r, b]
        let mut state = state;
        if let Some(resets) = resets {
            let before = resets.before_last().transpose().reshape([1, time, 1, batch]).expand(shape);
            signals = signals.mask_fill(before, 0.0);
            let before = resets.state_before_last().reshape([1, 1, batch]).expand([channels, pairs, batch]);
            state = state.map(|part| part.mask_fill(before.clone(), 0.0));
        }
        let whole = self
            .powers
            .clone()
            .map(|part| part.narrow(1, time, 1).swap_dims(1, 2).expand([channels, pairs, batch]));
        let signals = signals.reshape([channels, time, ways * batch]);
        let into = self.powers.clone().map(|part| {
            let backwards = part.narrow(1, 0, time).flip([1]).swap_dims(1, 2); // [h, n, s]
            backwards.matmul(signals.clone()).reshape([channels, pairs, ways, batch])
        });
        let inputs = system
            .inputs
            .clone()
            .map(|part| part.swap_dims(1, 2).unsqueeze_dim::<4>(3).expand([channels, pairs, ways, batch]));
        let added = into.times(inputs).map(|part| part.sum_dim(2).squeeze_dim::<3>(2));
        (output, state.times(whole).plus(added))
    }
}

/// The lower triangular matrices `[.., t, s]` with the entries `k_{t−s}` of filters, `[H, I, J, C]`.
fn toeplitz(filters: Tensor<4>) -> Tensor<5> {
    let [channels, rows, columns, length] = filters.dims();
    // A row of period 2C read with the stride 2C − 1 moves one place to the right in every line.
    let first = filters.clone().narrow(3, 0, 1);
    let zeros = Tensor::zeros([channels, rows, columns, length], (&filters.device(), filters.dtype()));
    let period = match length {
        1 => Tensor::cat(vec![first, zeros], 3),
        _ => Tensor::cat(vec![first, zeros, filters.narrow(3, 1, length - 1).flip([3])], 3),
    };
    let shape = [channels, rows, columns, length, 2 * length];
    let lines = period.unsqueeze_dim::<5>(3).expand(shape);
    let lines = lines.reshape([channels, rows, columns, 2 * length * length]);
    let lines = lines.narrow(3, 0, length * (2 * length - 1));
    lines.reshape([channels, rows, columns, length, 2 * length - 1]).narrow(4, 0, length)
}

/// `(1 − x)⁻¹` for matrices of blocks of `block` rows that are the same along the diagonals, and zero on and above the
/// main one.
///
/// By doubling: the inverse of the leading part is also that of the part after it, and `L⁻¹ = [[I₁, 0], [I₂ X I₁, I₂]]`.
fn unit_inverse(x: Tensor<3>, block: usize) -> Tensor<3> {
    let [channels, size, _] = x.dims();
    let options = (&x.device(), x.dtype());
    let one = to_dtype(Tensor::<2>::eye(block, &x.device()), x.dtype());
    let mut inverse = one.unsqueeze_dim::<3>(0).expand([channels, block, block]);
    while inverse.dims()[1] < size {
        let known = inverse.dims()[1];
        let more = known.min(size - known);
        let second = inverse.clone().narrow(1, 0, more).narrow(2, 0, more);
        let below = x.clone().narrow(1, known, more).narrow(2, 0, known);
        let below = second.clone().matmul(below).matmul(inverse.clone());
        let zeros = Tensor::zeros([channels, known, more], options);
        inverse =
            Tensor::cat(vec![Tensor::cat(vec![inverse, zeros], 2), Tensor::cat(vec![below, second], 2)], 1);
    }
    inverse
}
