//! The recurrence with its feedback, and chunks of it with the loop closed.
//!
//! A state of `N` complex numbers stands as `2·N` real ones here: all real parts, then all imaginary parts.

use super::super::diagonal_state_space::powers;
use super::super::same_sequence::SameSequence;
use super::matrices::{real_products, toeplitz, unit_inverse};
use crate::ops::{Complex, to_dtype};
use burn::tensor::Tensor;

/// The recurrence: `h_t = E h_{t-1} + B̄ u_t − U f_t` with the feedback `f_t = V h_{t-1}`.
pub(super) struct OpenLoop {
    /// `E`, `[H, N]`.
    pub eigenvalues: Complex<2>,
    /// `B̄` and the columns of `−U`, `[H, W, N]` with `W = 1 + R`: how `u` and `f` are written.
    pub inputs: Complex<3>,
    /// `2 C` and the rows of `V`, `[H, W, N]`: how `y` and `f` are read, as real parts.
    pub outputs: Complex<3>,
}

/// A chunk of up to `C` tokens with its loop closed.
pub(super) struct ClosedLoop {
    /// As in [`OpenLoop`].
    inputs: Complex<3>,
    /// `E^0 .. E^C`, `[H, C + 1, N]`.
    powers: Complex<3>,
    /// `E^(C−1) .. E^0`, `[H, 2·N, C]`: how signals reach the last state.
    backwards: Tensor<3>,
    /// How inputs reach `y` and `f`, `[H, C, W, C]`.
    from_input: Tensor<4>,
    /// How the state reaches `y` and `f`, `[H, C, W, 2·N]`.
    from_state: Tensor<4>,
}

impl OpenLoop {
    pub fn close(self, length: usize) -> ClosedLoop {
        let Self { eigenvalues, inputs, outputs } = self;
        let [channels, ways, pairs] = inputs.dims();
        let rank = ways - 1;
        let powers = powers(eigenvalues, length + 1);
        let now = powers.clone().map(|part| part.narrow(1, 0, length));
        let next = powers.clone().map(|part| part.narrow(1, 1, length));
        // Filters from every input to every output, Re(O_i I_j E^t): [h, i, j, t].
        let shape = [channels, ways, ways, pairs];
        let rows = outputs.clone().map(|part| part.unsqueeze_dim::<4>(2).expand(shape));
        let columns = inputs.clone().map(|part| part.unsqueeze_dim::<4>(1).expand(shape));
        let weights = rows.times(columns).map(|part| part.reshape([channels, ways * ways, pairs]));
        let filters = real_products(&weights, &now).reshape([channels, ways, ways, length]);
        let to = |output, outputs, input, inputs| {
            filters.clone().narrow(1, output, outputs).narrow(2, input, inputs)
        };

        // What reaches the feedback of a token went in before it; what it comes back as, again.
        let zero = Tensor::zeros([channels, rank, ways, 1], (&filters.device(), filters.dtype()));
        let later = Tensor::cat(vec![zero, to(1, rank, 0, ways)], 3).narrow(3, 0, length);
        let again = toeplitz(later.clone().narrow(2, 1, rank)); // [h, i, j, t, s]
        let again = again.permute([0, 3, 1, 4, 2]).reshape([channels, length * rank, length * rank]);
        let inverse = unit_inverse(again, rank); // [h, t·i, s·j]
        let back = toeplitz(to(0, 1, 1, rank)).squeeze_dim::<4>(1); // [h, j, t, s]
        let back = back.permute([0, 2, 3, 1]).reshape([channels, length, length * rank]);

        let once = later.narrow(2, 0, 1).squeeze_dim::<3>(2).swap_dims(1, 2); // [h, t, i]
        let feedback = inverse.clone().matmul(once.reshape([channels, length * rank, 1]));
        let output = to(0, 1, 0, 1).reshape([channels, length, 1]) + back.clone().matmul(feedback.clone());
        let closed = Tensor::cat(vec![output, feedback.reshape([channels, length, rank])], 2); // [h, t, w]
        let from_input = toeplitz(closed.swap_dims(1, 2).unsqueeze_dim::<4>(2)).squeeze_dim::<4>(2);

        let feedback = inverse.matmul(functionals(&outputs, &now, 1, rank));
        let output = functionals(&outputs, &next, 0, 1) + back.matmul(feedback.clone());
        let feedback = feedback.reshape([channels, length, rank, 2 * pairs]);
        let from_state = Tensor::cat(vec![output.unsqueeze_dim::<4>(2), feedback], 2);

        let [re, im] = [now.re, now.im].map(|part| part.flip([1]).swap_dims(1, 2));
        ClosedLoop {
            inputs,
            powers,
            backwards: Tensor::cat(vec![re, im], 1),
            from_input: from_input.swap_dims(1, 2),
            from_state,
        }
    }
}

/// The rows `first .. first + count` of `outputs` times every power, as what they read of `2·N` real numbers,
/// `[H, C·count, 2·N]`.
fn functionals(outputs: &Complex<3>, powers: &Complex<3>, first: usize, count: usize) -> Tensor<3> {
    let [channels, length, pairs] = powers.dims();
    let shape = [channels, length, count, pairs];
    let rows = outputs.clone().map(|part| part.narrow(1, first, count).unsqueeze_dim::<4>(1).expand(shape));
    let rows = rows.times(powers.clone().map(|part| part.unsqueeze_dim::<4>(2).expand(shape)));
    Tensor::cat(vec![rows.re, rows.im.neg()], 3).reshape([channels, length * count, 2 * pairs])
}

impl ClosedLoop {
    /// One chunk: `[H, t, B]` from `[H, 2·N, B]` to `[H, t, B]`, and the state after the last token.
    pub fn chunk(
        &self,
        input: Tensor<3>,
        resets: Option<SameSequence>,
        mut state: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        let [channels, time, batch] = input.dims();
        let ways = self.ways();
        let shape = [channels, time, ways, batch];
        let mut carried = self.read_state(state.clone(), time);
        let written = match &resets {
            None => self.read_input(input.clone()),
            Some(resets) => {
                let later = resets.later.clone().transpose().reshape([1, time, 1, batch]);
                carried = carried.mask_fill(later.expand(shape), 0.0);
                let seen = [channels, time, time, batch]; // [h, t, s, b]
                let other = resets.other.clone().permute([1, 2, 0]).unsqueeze_dim::<4>(0).expand(seen);
                let seen = input.clone().unsqueeze_dim::<4>(1).expand(seen).mask_fill(other, 0.0);
                self.from_input.clone().narrow(1, 0, time).narrow(3, 0, time).matmul(seen)
            }
        };
        let (output, mut signals) = self.signals(input, carried + written);
        if let Some(resets) = resets {
            let before = resets.before_last().transpose().reshape([1, time, 1, batch]);
            signals = signals.mask_fill(before.expand(shape), 0.0);
            let before = resets.state_before_last().reshape([1, 1, batch]).expand(state.dims());
            state = state.mask_fill(before, 0.0);
        }
        (output, self.faded(state, time) + self.collected(signals))
    }

    /// `count` chunks of `C` tokens, `[H, count·C, B]` from `[H, 2·N, B]` to `[H, count·C, B]`, and the state after them:
    /// all chunks at once but for the states between them, which a matrix passes on.
    pub fn whole_chunks(
        &self,
        input: Tensor<3>,
        count: usize,
        mut state: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        let [channels, time, batch] = input.dims();
        let [_, numbers, _] = state.dims();
        let length = time / count;
        let apart = [channels, count, length, batch];
        let columns = input.reshape(apart).swap_dims(1, 2).reshape([channels, length, count * batch]);
        let (output, signals) = self.signals(columns.clone(), self.read_input(columns));
        let collected = self.collected(signals); // [h, 2·n, count·b]

        // What becomes of every unit state.
        let units = to_dtype(Tensor::<2>::eye(numbers, &state.device()), state.dtype());
        let units = units.unsqueeze_dim::<3>(0).expand([channels, numbers, numbers]);
        let silence = Tensor::zeros([channels, length, numbers], (&state.device(), state.dtype()));
        let (_, signals) = self.signals(silence, self.from_state.clone());
        let transition = self.faded(units, length) + self.collected(signals);

        let mut states = Vec::with_capacity(count);
        for chunk in 0..count {
            states.push(state.clone());
            let added = collected.clone().narrow(2, chunk * batch, batch);
            state = transition.clone().matmul(state) + added;
        }
        let carried = self.read_state(Tensor::cat(states, 2), length).narrow(2, 0, 1).squeeze_dim::<3>(2);
        let output = (output + carried).reshape([channels, length, count, batch]).swap_dims(1, 2);
        (output.reshape([channels, time, batch]), state)
    }

    fn ways(&self) -> usize {
        self.inputs.dims()[1]
    }

    /// What reaches `y` and `f` from columns of input, `[H, t, K]`: `[H, t, W, K]`.
    fn read_input(&self, input: Tensor<3>) -> Tensor<4> {
        let [channels, time, columns] = input.dims();
        let rows = self.from_input.clone().narrow(1, 0, time).narrow(3, 0, time);
        let rows = rows.reshape([channels, time * self.ways(), time]);
        rows.matmul(input).reshape([channels, time, self.ways(), columns])
    }

    /// What reaches `y` and `f` from columns of states, `[H, 2·N, K]`: `[H, t, W, K]`.
    fn read_state(&self, state: Tensor<3>, time: usize) -> Tensor<4> {
        let [channels, numbers, columns] = state.dims();
        let rows =
            self.from_state.clone().narrow(1, 0, time).reshape([channels, time * self.ways(), numbers]);
        rows.matmul(state).reshape([channels, time, self.ways(), columns])
    }

    /// `y`, and `u` beside `f`, `[H, t, W, K]`, of an input and what reaches `y` and `f`.
    fn signals(&self, input: Tensor<3>, reached: Tensor<4>) -> (Tensor<3>, Tensor<4>) {
        let output = reached.clone().narrow(2, 0, 1).squeeze_dim(2);
        let feedback = reached.narrow(2, 1, self.ways() - 1);
        (output, Tensor::cat(vec![input.unsqueeze_dim(2), feedback], 2))
    }

    /// `E^t h` of columns of states, `[H, 2·N, K]`.
    fn faded(&self, state: Tensor<3>, time: usize) -> Tensor<3> {
        let [channels, numbers, columns] = state.dims();
        let shape = [channels, numbers / 2, columns];
        let power = self.powers.clone().map(|part| part.narrow(1, time, 1).swap_dims(1, 2).expand(shape));
        let part = |from| state.clone().narrow(1, from, numbers / 2);
        let moved = power.times(Complex::new(part(0), part(numbers / 2)));
        Tensor::cat(vec![moved.re, moved.im], 1)
    }

    /// What signals, `[H, t, W, K]`, leave in the state after the last token, `[H, 2·N, K]`.
    fn collected(&self, signals: Tensor<4>) -> Tensor<3> {
        let [channels, time, ways, columns] = signals.dims();
        let [_, numbers, length] = self.backwards.dims();
        let backwards = self.backwards.clone().narrow(2, length - time, time);
        let sums = backwards.matmul(signals.reshape([channels, time, ways * columns]));
        let part = |from| {
            let part = sums.clone().narrow(1, from, numbers / 2);
            part.reshape([channels, numbers / 2, ways, columns])
        };
        let shape = [channels, numbers / 2, ways, columns];
        let inputs = self.inputs.clone().map(|part| part.swap_dims(1, 2).unsqueeze_dim::<4>(3).expand(shape));
        let written = Complex::new(part(0), part(numbers / 2)).times(inputs);
        Tensor::cat(vec![written.re.sum_dim(2), written.im.sum_dim(2)], 1).squeeze_dim(2)
    }
}
