//! Eigenvalues of a real skew-symmetric matrix, and vectors in the basis of its eigenvectors.

/// The eigenvalues `iω` of the skew-symmetric `matrix`, `[N, N]` with an even `N`, that have the `N / 2` smallest `ω`,
/// ascending, and each of `vectors` in the basis of their eigenvectors `V`: `Vᴴ x`.
///
/// With `D = diag((−i)^k)`, a skew-symmetric matrix of three diagonals `t` is `D (i S) Dᴴ`, where `S` is symmetric with
/// zeros on its diagonal and `t` beside it. So everything but the powers of `i` is real.
pub(super) fn lower_half(mut matrix: Vec<f64>, mut vectors: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<[f64; 2]>>) {
    let beside = tridiagonal(&mut matrix, &mut vectors);
    // Dᴴ x: the powers i^k leave real numbers at even places, imaginary ones at odd places.
    let mut parts: Vec<Vec<f64>> = Vec::with_capacity(2 * vectors.len());
    for vector in &vectors {
        for part in [0, 1] {
            let sign = |k: usize| if k % 4 < 2 { 1.0 } else { -1.0 };
            let pick = |(k, x): (usize, &f64)| if k % 2 == part { sign(k) * x } else { 0.0 };
            parts.push(vector.iter().enumerate().map(pick).collect());
        }
    }
    let values = diagonal(beside, &mut parts);
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    order.truncate(values.len() / 2);
    let pairs = |pair: &[Vec<f64>]| order.iter().map(|n| [pair[0][*n], pair[1][*n]]).collect();
    (order.iter().map(|n| values[*n]).collect(), parts.chunks_exact(2).map(pairs).collect())
}

/// Brings `matrix` to three diagonals by reflections, `Qᵀ K Q`, and every vector to `Qᵀ x`; returns the numbers below the
/// diagonal.
fn tridiagonal(matrix: &mut [f64], vectors: &mut [Vec<f64>]) -> Vec<f64> {
    let size = vectors[0].len();
    let mut below = Vec::with_capacity(size.saturating_sub(1));
    for k in 1..size {
        let mut normal: Vec<f64> = (k..size).map(|row| matrix[row * size + k - 1]).collect();
        let length = dot(&normal, &normal).sqrt();
        if k == size - 1 || length == 0.0 {
            below.push(normal[0]);
            continue;
        }
        // Away from the first number, so that nothing cancels.
        let target = -length.copysign(normal[0]);
        below.push(target);
        normal[0] -= target;
        let scale = 2.0 / dot(&normal, &normal);
        let moved: Vec<f64> =
            (k..size).map(|row| scale * dot(&matrix[row * size + k..(row + 1) * size], &normal)).collect();
        // vᵀ K v = 0, so that H K H = K + v pᵀ − p vᵀ with p = scale · K v.
        for (row, (v, p)) in normal.iter().zip(&moved).enumerate() {
            let row = &mut matrix[(k + row) * size + k..(k + row + 1) * size];
            for (entry, (other_v, other_p)) in row.iter_mut().zip(normal.iter().zip(&moved)) {
                *entry += v * other_p - p * other_v;
            }
        }
        for vector in vectors.iter_mut() {
            let along = scale * dot(&vector[k..], &normal);
            vector[k..].iter_mut().zip(&normal).for_each(|(x, v)| *x -= along * v);
        }
    }
    below
}

/// The eigenvalues of the symmetric matrix with zeros on the diagonal and `beside` beside it, by the implicit QL
/// algorithm; every row `x` becomes `x Z` with the eigenvectors `Z`.
///
/// Source: Bowdler et al. 1968, *The QR and QL algorithms for symmetric matrices*.
fn diagonal(mut beside: Vec<f64>, rows: &mut [Vec<f64>]) -> Vec<f64> {
    let size = beside.len() + 1;
    let scale = beside.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    beside.push(0.0);
    let mut values = vec![0.0f64; size];
    for from in 0..size {
        // It converges in two or three rounds per eigenvalue; 100 are never needed.
        for _ in 0..100 {
            let small = |m: &usize| {
                let around = (values[*m].abs() + values[*m + 1].abs()).max(f64::EPSILON * scale);
                beside[*m].abs() <= f64::EPSILON * around
            };
            let to = (from..size - 1).find(small).unwrap_or(size - 1);
            if to == from {
                break;
            }
            sweep(&mut values, &mut beside, rows, from, to);
        }
    }
    values
}

/// One implicit QL step on the block `from ..= to`.
fn sweep(values: &mut [f64], beside: &mut [f64], rows: &mut [Vec<f64>], from: usize, to: usize) {
    let half = (values[from + 1] - values[from]) / (2.0 * beside[from]);
    let shift = values[from] - beside[from] / (half + half.hypot(1.0).copysign(half));
    let (mut bulge, mut cos, mut sin, mut moved) = (values[to] - shift, 1.0, 1.0, 0.0);
    for i in (from..to).rev() {
        let (f, b) = (sin * beside[i], cos * beside[i]);
        let length = f.hypot(bulge);
        beside[i + 1] = length;
        if length == 0.0 {
            values[i + 1] -= moved;
            beside[to] = 0.0;
            return;
        }
        (sin, cos) = (f / length, bulge / length);
        bulge = values[i + 1] - moved;
        let turned = (values[i] - bulge) * sin + 2.0 * cos * b;
        moved = sin * turned;
        values[i + 1] = bulge + moved;
        bulge = cos * turned - b;
        for row in rows.iter_mut() {
            let (left, right) = (row[i], row[i + 1]);
            row[i + 1] = sin * left + cos * right;
            row[i] = cos * left - sin * right;
        }
    }
    values[from] -= moved;
    beside[from] = bulge;
    beside[to] = 0.0;
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}
