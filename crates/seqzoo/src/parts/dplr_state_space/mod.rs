//! The parameters of a state space whose transition is diagonal plus low rank, and its recurrence in chunks.

mod closed_loop;
mod matrices;

use super::diagonal_state_space::{log_steps, of_each_channel};
use super::same_sequence::SameSequence;
use super::{Hippo, NormalPlusLowRank, RealTransform};
use crate::config::{check_channels, check_numbers};
use crate::ops::{Complex, accumulator, to_dtype};
use crate::{ConfigError, Undecayed};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Bool, DType, Device, Tensor};
use closed_loop::OpenLoop;
use matrices::{real_products, small_inverse};

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
        let columns: Vec<f64> = p.into_iter().flatten().flatten().collect();
        let b: Vec<f64> = b.into_iter().flatten().collect();
        let rank = self.measure.rank();
        Ok(DplrStateSpace {
            log_dt: log_steps(subject, channels, self.dt_min, self.dt_max, device)?,
            a_real: Initializer::Constant { value: self.real_transform.inverse(-real) }
                .init([channels, pairs], device)
                .into(),
            a_imag: of_each_channel([channels, pairs], move || imaginary.clone(), device).into(),
            p: of_each_channel([channels, rank, pairs, 2], move || columns.clone(), device).into(),
            b: of_each_channel([channels, pairs, 2], move || b.clone(), device).into(),
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
        let [_, pairs] = self.dims();
        let dtype = input.dtype();
        let wide = accumulator(dtype);
        let system = self.discretised(wide).close(time.min(Self::CHUNK));
        let input = to_dtype(input, wide).permute([2, 1, 0]); // [h, t, b]
        let [re, im] = [state.re, state.im].map(|part| to_dtype(part, wide).permute([1, 2, 0]));
        // Joined, the numbers lie in one order wherever the state comes from: products would round otherwise for another
        // order, and a stream continues from a file to the last bit.
        let mut state = Tensor::cat(vec![re, im], 1); // [h, 2·n, b]
        let mut outputs = Vec::with_capacity(time.div_ceil(Self::CHUNK));
        let mut from = 0;
        if resets.is_none() && time >= 2 * Self::CHUNK {
            let chunks = time / Self::CHUNK;
            from = chunks * Self::CHUNK;
            let (output, next) = system.whole_chunks(input.clone().narrow(1, 0, from), chunks, state);
            outputs.push(output);
            state = next;
        }
        while from < time {
            let length = Self::CHUNK.min(time - from);
            let resets = resets.clone().map(|resets| SameSequence::of(resets.narrow(1, from, length)));
            let (output, next) = system.chunk(input.clone().narrow(1, from, length), resets, state);
            outputs.push(output);
            state = next;
            from += length;
        }
        let output = to_dtype(Tensor::cat(outputs, 1).permute([2, 1, 0]), dtype);
        let part = |from| state.clone().narrow(1, from, pairs).permute([2, 0, 1]);
        (output, Complex::new(part(0), part(pairs)))
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

    fn discretised(&self, wide: DType) -> OpenLoop {
        let decay = self.real_transform.apply(to_dtype(self.a_real.val(), wide));
        let step = to_dtype(self.log_dt.val(), wide).exp().unsqueeze_dim::<2>(1); // [h, 1]
        let half = Complex::new(decay.neg(), to_dtype(self.a_imag.val(), wide))
            .map(|part| part * step.clone().div_scalar(2.0)); // ΔΛ/2
        let below = Complex::new(half.re.clone().neg().add_scalar(1.0), half.im.clone().neg());
        let resolvent = below.reciprocal();
        let eigenvalues = Complex::new(half.re.add_scalar(1.0), half.im).times(resolvent.clone());

        let resolvent = resolvent.map(|part| part.unsqueeze_dim::<3>(1)); // [h, 1, n]
        let step = step.unsqueeze_dim::<3>(1); // [h, 1, 1]
        let p = to_dtype(self.p.val(), wide);
        let part = |index| p.clone().narrow(3, index, 1).squeeze_dim::<3>(3);
        let p = Complex::new(part(0), part(1)); // [h, r, n]
        let b = Complex::of_parts(to_dtype(self.b.val(), wide)).map(|part| part.unsqueeze_dim::<3>(1));
        let c = Complex::of_parts(to_dtype(self.c.val(), wide))
            .map(|part| part.unsqueeze_dim::<3>(1).mul_scalar(2.0));

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
        OpenLoop {
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
