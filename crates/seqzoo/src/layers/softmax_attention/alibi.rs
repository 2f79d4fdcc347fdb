//! Attention with linear biases: how fast the scores of each head fall with the distance.

/// The slopes of `heads` heads: by how much a score falls with each token between key and query.
///
/// For a power of two they are `2^(−8i/heads)`, `i = 1, 2, ..`. Other counts have those of the next lower power of two, and
/// then every second one of those of twice that power, beginning with the first.
///
/// Source: Press et al. 2021, <https://arxiv.org/abs/2108.12409> (sec. 3), and the authors' program for other counts.
pub(super) fn slopes(heads: usize) -> Vec<f64> {
    let power = 1 << heads.max(1).ilog2();
    let of = |count: usize, place: usize| (-8.0 * place as f64 / count as f64).exp2();
    let first = (1..=power).map(|place| of(power, place));
    let between = (0..heads - power).map(|place| of(2 * power, 2 * place + 1));
    first.chain(between).collect()
}
