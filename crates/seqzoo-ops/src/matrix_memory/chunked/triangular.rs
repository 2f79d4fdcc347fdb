//! The inverse of unit lower triangular matrices, by halving.

use burn::tensor::Tensor;

/// `(I + N)⁻¹` for the strictly lower triangular `N`, `[m, C, C]` with `C` a power of two; what `strict`
/// holds on and above its diagonal is not read.
///
/// A matrix of two halves has
///
/// ```text
/// ⎡ A    ⎤⁻¹   ⎡  A⁻¹            ⎤
/// ⎣ C  D ⎦   = ⎣ -D⁻¹ C A⁻¹  D⁻¹ ⎦
/// ```
///
/// and both halves are inverted together, as one batch of twice the size, down to single numbers, whose inverse
/// is 1. That is as accurate as substitution row by row. The Neumann series `(I - N)(I + N²)(I + N⁴)…` has the
/// same value and fewer steps, but powers of `N` that are astronomically larger than the result where the keys of
/// a chunk resemble each other.
pub(crate) fn inverse(strict: Tensor<3>) -> Tensor<3> {
    let [count, width, _] = strict.dims();
    if width == 1 {
        return strict.ones_like();
    }
    let half = width / 2;
    let quarter = |row: usize, column: usize| strict.clone().narrow(1, row, half).narrow(2, column, half);
    let corner = quarter(half, 0);
    let halves = Tensor::stack::<4>(vec![quarter(0, 0), quarter(half, half)], 1);
    let inverses = inverse(halves.reshape([2 * count, half, half])).reshape([count, 2, half, half]);
    let upper = inverses.clone().narrow(1, 0, 1).squeeze_dim::<3>(1);
    let lower = inverses.narrow(1, 1, 1).squeeze_dim::<3>(1);
    let between =
        if half == 1 { corner.neg() } else { lower.clone().matmul(corner).matmul(upper.clone()).neg() };
    let top = Tensor::cat(vec![upper.clone(), upper.zeros_like()], 2);
    Tensor::cat(vec![top, Tensor::cat(vec![between, lower], 2)], 1)
}

#[cfg(test)]
mod tests {
    use super::inverse;
    use burn::tensor::{DType, Device, Distribution, FloatDType, Tensor};

    #[test]
    fn a_matrix_times_its_inverse_is_the_identity() {
        let device = Device::default();
        for width in [1, 2, 8, 64] {
            let random = Tensor::<3>::random(
                [3, width, width],
                Distribution::Uniform(-1.0, 1.0),
                (&device, DType::F64),
            );
            let strict = random.clone().tril(-1);
            let unit = Tensor::<2>::eye(width, &device).cast(FloatDType::F64).unsqueeze::<3>();
            let product = (strict + unit.clone()).matmul(inverse(random)); // the rest is not read
            let error = (product - unit).abs().max().into_scalar::<f64>();
            assert!(error < 1e-9, "{width}: off by {error:e}");
        }
    }
}
