//! Decays inside a chunk, built by repeated halving so that no exponent is ever positive and none
//! is the difference of two large numbers.
//!
//! A chunk of `2w` tokens is two halves of `w`. A token `i` of the right half sees a token `j` of
//! the left one through the decay of `j+1 ..= i`, which splits at the boundary into two sums of
//! non-positive numbers: `after[j]`, from after `j` to the end of the left half, and `through[i]`,
//! from the start of the right half through `i`. Both halves are chunks of their own, so the
//! construction repeats, from single tokens up to the whole chunk. Factors that may be 0 have no logarithms: their
//! products are built in the same way.

use burn::tensor::Tensor;

/// Sums of log decays inside blocks of equal width, or products of factors; `d` is 1 or the key channels.
#[derive(Clone)]
pub(crate) struct Sums {
    /// From the start of the block through the token, `[blocks, width, d]`.
    pub through: Tensor<3>,
    /// From after the token to the end of the block, `[blocks, width, d]`.
    pub after: Tensor<3>,
    join: fn(Tensor<3>, Tensor<3>) -> Tensor<3>,
}

impl Sums {
    /// Blocks of one token: `log_decay` is `[tokens, d]`.
    fn tokens(log_decay: Tensor<2>) -> Self {
        let through = log_decay.unsqueeze_dim::<3>(1);
        Self { after: through.zeros_like(), through, join: Tensor::add }
    }

    /// Blocks of one token, of factors `[tokens, d]` that are multiplied.
    fn factors(factors: Tensor<2>) -> Self {
        let through = factors.unsqueeze_dim::<3>(1);
        Self { after: through.ones_like(), through, join: Tensor::mul }
    }

    /// The sums in the left and the right blocks of each pair, `[blocks / 2, width, d]`.
    fn halves(&self) -> (Self, Self) {
        let ((through_left, through_right), (after_left, after_right)) =
            (halves(self.through.clone()), halves(self.after.clone()));
        (
            Self { through: through_left, after: after_left, ..*self },
            Self { through: through_right, after: after_right, ..*self },
        )
    }

    /// The sum or product over a whole block, `[blocks, 1, d]`.
    pub fn total(&self) -> Tensor<3> {
        self.through.clone().narrow(1, self.through.dims()[1] - 1, 1)
    }

    fn joined(left: Self, right: Self) -> Self {
        let join = left.join;
        Self {
            through: Tensor::cat(vec![left.through.clone(), join(right.through.clone(), left.total())], 1),
            after: Tensor::cat(vec![join(left.after, right.total()), right.after], 1),
            join,
        }
    }
}

/// The decay between every two tokens of a chunk, one number per pair.
///
/// `log_decay` is `[chunks, C]`; returns `[chunks, C, C]`, with zeros where the column is later
/// than the row and ones on the diagonal, and the sums over the chunk with `d = 1`.
pub(crate) fn pairwise(log_decay: Tensor<2>) -> (Tensor<3>, Sums) {
    let [chunks, width] = log_decay.dims();
    let tokens = log_decay.reshape([chunks * width, 1]);
    let ones = tokens.ones_like().unsqueeze_dim::<3>(2);
    build(ones, Sums::tokens(tokens), width, |left, right, _| {
        right.through.clone().exp() * left.after.clone().exp().swap_dims(1, 2)
    })
}

/// The product of the factors between every two tokens of a chunk, one number per pair. Without logarithms, so that a
/// factor may be 0.
///
/// `factors` is `[chunks, C]`, `C` a power of two; returns `[chunks, C, C]`, in row `i` and column `j <= i` the product of
/// `j+1 ..= i`, else 0, and the products over the chunk with `d = 1`.
pub(crate) fn products(factors: Tensor<2>) -> (Tensor<3>, Sums) {
    let [chunks, width] = factors.dims();
    let tokens = factors.reshape([chunks * width, 1]);
    let ones = tokens.ones_like().unsqueeze_dim::<3>(2);
    build(ones, Sums::factors(tokens), width, |left, right, _| {
        right.through.clone() * left.after.clone().swap_dims(1, 2)
    })
}

/// The products of every query with every earlier key under a decay per channel.
///
/// `query`, `key` and `log_decay` are `[chunks, C, K]`; returns
/// `A[i, j] = Σ_k q[i, k] exp(decay of j+1 ..= i)[k] k[j, k]` for `j <= i`, else 0, as
/// `[chunks, C, C]`, and the sums over the chunk with `d = K`.
pub(crate) fn gated_products(query: Tensor<3>, key: Tensor<3>, log_decay: Tensor<3>) -> (Tensor<3>, Sums) {
    let [chunks, width, channels] = key.dims();
    let own = (query.clone() * key.clone()).sum_dim(2).reshape([chunks * width, 1, 1]);
    let sums = Sums::tokens(log_decay.reshape([chunks * width, channels]));
    build(own, sums, width, |left, right, half| {
        let pairs = [chunks * width / half, half, channels];
        let (_, query) = halves(query.clone().reshape(pairs));
        let (key, _) = halves(key.clone().reshape(pairs));
        let read = query * right.through.clone().exp(); // [pairs, w, k]
        let written = key * left.after.clone().exp(); // [pairs, w, k]
        read.matmul(written.swap_dims(1, 2))
    })
}

/// Doubles the blocks until they are `width` wide; `cross` gives, for a pair of halves, what the
/// rows of the right half hold in the columns of the left one.
fn build(
    diagonal: Tensor<3>,
    sums: Sums,
    width: usize,
    cross: impl Fn(&Sums, &Sums, usize) -> Tensor<3>,
) -> (Tensor<3>, Sums) {
    let (mut matrix, mut sums, mut half) = (diagonal, sums, 1);
    while half < width {
        let (left, right) = sums.halves();
        let (upper, lower) = halves(matrix);
        let corner = cross(&left, &right, half);
        let top = Tensor::cat(vec![upper, corner.zeros_like()], 2);
        let bottom = Tensor::cat(vec![corner, lower], 2);
        matrix = Tensor::cat(vec![top, bottom], 1);
        sums = Sums::joined(left, right);
        half *= 2;
    }
    (matrix, sums)
}

/// The even and the odd blocks of `[blocks, width, d]`.
fn halves(blocks: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
    let [count, width, channels] = blocks.dims();
    let pairs = blocks.reshape([count / 2, 2, width, channels]);
    (pairs.clone().narrow(1, 0, 1).squeeze_dim(1), pairs.narrow(1, 1, 1).squeeze_dim(1))
}
