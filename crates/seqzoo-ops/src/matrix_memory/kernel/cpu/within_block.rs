//! The products inside a block where every channel has its own decay, pair by pair of tokens.
//!
//! With `P[i, j] = e_{j+1} ⊙ … ⊙ e_i`, rows are followed as the recurrence follows them, so every factor is
//! a product of numbers up to 1, no exponential is taken per pair, and nothing of size `C²K` is kept.
//! Channels are taken four vectors at a time, which stay in registers.

use super::chunks::CHUNK;
use crate::kernel::cpu::lanes::Real;
use pulp::Simd;

/// Output of `stride` vectors.
#[derive(Clone, Copy)]
struct Tile<'a, V> {
    vectors: &'a [V],
    stride: usize,
}

impl<V: Copy> Tile<'_, V> {
    #[inline(always)]
    fn get<const N: usize>(&self, row: usize, column: usize) -> [V; N] {
        let from = &self.vectors[row * self.stride + column..][..N];
        let mut vectors = [from[0]; N];
        vectors.copy_from_slice(from);
        vectors
    }
}

/// Runs `$body` for the vectors of a row, four at a time and then one by one.
macro_rules! in_groups {
    ($vectors:expr, $body:ident($simd:expr, $($argument:expr),*)) => {{
        let mut column = 0;
        while column + 4 <= $vectors {
            $body::<S, E, 4>($simd, column, $($argument),*);
            column += 4;
        }
        while column < $vectors {
            $body::<S, E, 1>($simd, column, $($argument),*);
            column += 1;
        }
    }};
}

/// `products[i, j] = Σ_c q_i[c] P[i, j][c] k_j[c]` for `j <= i`, where `query`, `key` and `each` are the
/// block's rows of `width` channels and `products` has rows of [`CHUNK`].
#[inline(always)]
pub(crate) fn products<S: Simd, E: Real>(
    simd: S,
    tokens: usize,
    width: usize,
    [query, key, each]: [&[E]; 3],
    products: &mut [E],
) {
    #[inline(always)]
    fn group<S: Simd, E: Real, const N: usize>(
        simd: S,
        column: usize,
        tokens: usize,
        [query, key, each]: [Tile<'_, E::Vector<S>>; 3],
        products: &mut [E],
    ) {
        for i in 0..tokens {
            let mut faded = query.get::<N>(i, column);
            let row = &mut products[i * CHUNK..][..i + 1];
            for j in (0..=i).rev() {
                let (key, each) = (key.get::<N>(j, column), each.get::<N>(j, column));
                let mut sum = E::times(simd, faded[0], key[0]);
                for n in 1..N {
                    sum = E::mul_add(simd, faded[n], key[n], sum);
                }
                row[j] += E::sum(simd, sum);
                for n in 0..N {
                    faded[n] = E::times(simd, faded[n], each[n]);
                }
            }
        }
    }
    for i in 0..tokens {
        products[i * CHUNK..][..=i].fill(E::default());
    }
    let tiles = [query, key, each].map(|rows| tile::<S, E>(rows, width));
    in_groups!(tiles[0].stride, group(simd, tokens, tiles, products));
}

/// The gradients that flow through [`products`] off its diagonal: row i of `query_gradient` is
/// `Σ_{j<i} d[i, j] P[i, j] ⊙ k_j`, row j of `key_gradient` is `Σ_{i>j} d[i, j] P[i, j] ⊙ q_i`.
#[inline(always)]
pub(crate) fn gradients<S: Simd, E: Real>(
    simd: S,
    tokens: usize,
    width: usize,
    [query, key, each]: [&[E]; 3],
    gradient: &[E],
    [query_gradient, key_gradient]: [&mut [E]; 2],
) {
    #[inline(always)]
    fn group<S: Simd, E: Real, const N: usize>(
        simd: S,
        column: usize,
        tokens: usize,
        [query, key, each]: [Tile<'_, E::Vector<S>>; 3],
        gradient: &[E],
        query_gradient: &mut [E::Vector<S>],
        key_gradient: &mut [E::Vector<S>],
    ) {
        let zero = E::splat(simd, E::default());
        let store = |target: &mut [E::Vector<S>], row: usize, sums: [E::Vector<S>; N]| {
            target[row * key.stride + column..][..N].copy_from_slice(&sums);
        };
        for i in 0..tokens {
            let mut sums = [zero; N];
            for j in 0..i {
                let factor = E::splat(simd, gradient[i * CHUNK + j]);
                let key = key.get::<N>(j, column);
                let next = each.get::<N>(j + 1, column);
                for n in 0..N {
                    sums[n] = E::times(simd, E::mul_add(simd, factor, key[n], sums[n]), next[n]);
                }
            }
            store(query_gradient, i, sums);
        }
        for j in 0..tokens {
            let mut sums = [zero; N];
            for i in (j + 1..tokens).rev() {
                let factor = E::splat(simd, gradient[i * CHUNK + j]);
                let (query, each) = (query.get::<N>(i, column), each.get::<N>(i, column));
                for n in 0..N {
                    sums[n] = E::times(simd, E::mul_add(simd, factor, query[n], sums[n]), each[n]);
                }
            }
            store(key_gradient, j, sums);
        }
    }
    let tiles = [query, key, each].map(|rows| tile::<S, E>(rows, width));
    let query_gradient = E::vectors_mut::<S>(query_gradient);
    let key_gradient = E::vectors_mut::<S>(key_gradient);
    in_groups!(tiles[0].stride, group(simd, tokens, tiles, gradient, query_gradient, key_gradient));
}

#[inline(always)]
fn tile<S: Simd, E: Real>(rows: &[E], width: usize) -> Tile<'_, E::Vector<S>> {
    let stride = width / crate::kernel::cpu::lanes::lanes::<S, E>();
    Tile { vectors: E::vectors::<S>(rows), stride }
}
