//! How far tokens surprise the memory.

use burn::tensor::Tensor;

/// How far the tokens of a call surprised the memory, `[B, T, H]` each.
#[derive(Clone, Debug)]
pub struct Surprise {
    /// The loss `‖M(k_t) - v_t‖²` at the weights of the start of the chunk.
    pub loss: Tensor<3>,
    /// The length of its gradient with respect to all weights.
    pub gradient_norm: Tensor<3>,
}

/// The loss of every token and the length of its gradient, `[.., 1]`.
pub(super) type Numbers<const D: usize> = [Tensor<D>; 2];

/// Of gradients `input ⊗ error` in every layer, with a token per row.
pub(super) fn numbers<const D: usize>(inputs: &[Tensor<D>], errors: &[Tensor<D>]) -> Numbers<D> {
    let square = |x: &Tensor<D>| x.clone().square().sum_dim(D - 1);
    let answer = errors.last().expect("a memory has a layer");
    let lengths = inputs.iter().zip(errors).map(|(input, error)| square(input) * square(error));
    let length = lengths.reduce(|sum, layer| sum + layer).expect("a memory has a layer");
    // The error of the answer is twice its difference from the value.
    [square(answer).mul_scalar(0.25), length.sqrt()]
}

impl Surprise {
    /// Of tokens in `parts` that lie one after the other on `axis`; `place` puts all of them into `[b, t, h]`.
    pub(super) fn of<const D: usize>(
        parts: Vec<Numbers<D>>,
        axis: usize,
        place: impl Fn(Tensor<D>) -> Tensor<3>,
    ) -> Self {
        let (losses, lengths) = parts.into_iter().map(|[loss, length]| (loss, length)).unzip();
        let joined = |parts| place(Tensor::cat(parts, axis));
        Self { loss: joined(losses), gradient_norm: joined(lengths) }
    }

    /// Of no sequences, with the tokens and heads of `value`, `[0, t, h, v]`.
    pub(super) fn of_none(value: &Tensor<4>) -> Self {
        let [_, time, heads, _] = value.dims();
        let none = Tensor::zeros([0, time, heads], (&value.device(), value.dtype()));
        Self { loss: none.clone(), gradient_norm: none }
    }
}
