//! Products, inverses and Toeplitz matrices of filters, for many channels at once.

use crate::ops::{Complex, to_dtype};
use burn::tensor::Tensor;

/// `Re(x · y)` of the rows of `left`, `[H, I, N]`, and `right`, `[H, J, N]`: `[H, I, J]`.
pub(super) fn real_products(left: &Complex<3>, right: &Complex<3>) -> Tensor<3> {
    left.re.clone().matmul(right.re.clone().transpose())
        - left.im.clone().matmul(right.im.clone().transpose())
}

/// `(1 + x)⁻¹` of matrices of one or two rows, `[H, R, R]`.
pub(super) fn small_inverse(x: Tensor<3>) -> Tensor<3> {
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

/// The lower triangular matrices `[.., t, s]` with the entries `k_{t−s}` of filters, `[H, I, J, C]`.
pub(super) fn toeplitz(filters: Tensor<4>) -> Tensor<5> {
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
pub(super) fn unit_inverse(x: Tensor<3>, block: usize) -> Tensor<3> {
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
