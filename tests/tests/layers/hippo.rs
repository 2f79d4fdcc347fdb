//! HiPPO matrices and their decompositions against those of the implementation of S4.

use seqzoo::parts::{Hippo, System};
use seqzoo_tests::{Golden, largest_error};

const STORED: f64 = 1e-6;

fn check(golden: &Golden, name: &str, found: &[f64]) {
    let error = largest_error(found, golden.values(name));
    assert!(error <= STORED, "`{name}` differs by {error:e}");
}

fn flat(pairs: impl IntoIterator<Item = [f64; 2]>) -> Vec<f64> {
    pairs.into_iter().flatten().collect()
}

fn lengths(numbers: &[[f64; 2]]) -> Vec<f64> {
    numbers.iter().map(|[re, im]| re.hypot(*im)).collect()
}

#[test]
fn systems_and_their_decompositions_are_the_published_ones() {
    for (file, order) in [("09_hippo__N4", 4), ("09_hippo__N8", 8), ("09_hippo__N16", 16)] {
        let golden = Golden::load(file);
        for (name, measure) in [("legs", Hippo::LegS), ("legt", Hippo::LegT)] {
            let System { a, b } = measure.system(order);
            check(&golden, &format!("{name}.A"), &a);
            check(&golden, &format!("{name}.B"), &b);
            check(&golden, &format!("{name}.P"), &measure.rank_correction(order).concat());
            let parts = measure.normal_plus_low_rank(order);
            assert_eq!(parts.p.len(), measure.rank());
            let eigenvalues = flat(parts.imaginary.iter().map(|imaginary| [parts.real, *imaginary]));
            check(&golden, &format!("{name}.nplr.W"), &eigenvalues);
            check(&golden, &format!("{name}.nplr.absB"), &lengths(&parts.b));
            let columns: Vec<f64> = parts.p.iter().flat_map(|column| lengths(column)).collect();
            check(&golden, &format!("{name}.nplr.absP"), &columns);
            if measure == Hippo::LegS {
                // B conj(P), in which the phases of the eigenvectors cancel.
                let products =
                    parts.b.iter().zip(&parts.p[0]).map(|([a, b], [c, d])| [a * c + b * d, b * c - a * d]);
                check(&golden, "legs.nplr.BP", &flat(products));
            }
        }
        if golden.has("lmu.A") {
            let System { a, b } = System::delay(order);
            check(&golden, "lmu.A", &a);
            check(&golden, "lmu.B", &b);
        }
    }
}

/// In any basis, `Bᵀ A^k B` is the same: with `A = diag(Λ) − P Pᴴ` and of all pairs one half.
#[test]
fn a_large_system_acts_as_its_decomposition_does() {
    for (measure, order) in [(Hippo::LegS, 2), (Hippo::LegS, 200), (Hippo::LegT, 64), (Hippo::LegT, 510)] {
        let System { a, b } = measure.system(order);
        let parts = measure.normal_plus_low_rank(order);
        let (mut full, mut half) = (b.clone(), parts.b.clone());
        let twice_real = |x: &[[f64; 2]], y: &[[f64; 2]]| -> f64 {
            x.iter().zip(y).map(|([a, b], [c, d])| 2.0 * (a * c + b * d)).sum()
        };
        for _ in 0..6 {
            let wanted: f64 = full.iter().zip(&b).map(|(x, y)| x * y).sum();
            let found = twice_real(&half, &parts.b);
            let norm: f64 = full.iter().map(|x| x * x).sum::<f64>().sqrt();
            full.iter_mut().for_each(|x| *x /= norm);
            half.iter_mut().flatten().for_each(|x| *x /= norm);
            let scale = norm * b.iter().map(|x| x * x).sum::<f64>().sqrt();
            assert!((wanted - found).abs() <= 1e-11 * scale, "{measure:?} of {order}: {found} for {wanted}");
            full = a.chunks_exact(order).map(|row| row.iter().zip(&full).map(|(a, x)| a * x).sum()).collect();
            let along: Vec<f64> = parts.p.iter().map(|column| twice_real(column, &half)).collect();
            half = half
                .iter()
                .enumerate()
                .map(|(n, [re, im])| {
                    let mut moved = [
                        parts.real * re - parts.imaginary[n] * im,
                        parts.real * im + parts.imaginary[n] * re,
                    ];
                    for (column, along) in parts.p.iter().zip(&along) {
                        moved[0] -= column[n][0] * along;
                        moved[1] -= column[n][1] * along;
                    }
                    moved
                })
                .collect();
        }
    }
}
