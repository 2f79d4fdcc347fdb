//! Intervals around shares and means.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Standard deviations that hold 95 % of a normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's 95 % interval of a share that was found in `count` examples: where the true share lies, which near 0 and 1
/// is not symmetric about the one found.
///
/// ```text
/// ( p + z²/2n ± z √( p(1−p)/n + z²/4n² ) ) / (1 + z²/n)
/// ```
///
/// Source: Wilson 1927, <https://doi.org/10.1080/01621459.1927.10502953>.
pub fn wilson(share: f64, count: usize) -> (f64, f64) {
    if count == 0 {
        return (0.0, 1.0);
    }
    let n = count as f64;
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    // The share lies within, but for rounding.
    (((middle - half) / scale).clamp(0.0, share), ((middle + half) / scale).clamp(share, 1.0))
}

/// Resamples of the bootstrap.
const RESAMPLES: usize = 2000;

/// The 95 % bootstrap interval of the mean of `values`, one per seed: the means of as many values drawn from them with
/// replacement, without the lowest and highest 2.5 %. The draws are always the same. One value says nothing of its
/// spread: the interval is the value.
///
/// Source: Efron 1979, <https://doi.org/10.1214/aos/1176344552> (percentile interval).
pub fn bootstrap(values: &[f64]) -> (f64, f64) {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut mean = || {
        let drawn = (0..values.len()).map(|_| values[random.random_range(0..values.len())]);
        drawn.sum::<f64>() / values.len() as f64
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| mean()).collect();
    means.sort_by(f64::total_cmp);
    let cut = RESAMPLES / 40;
    (means[cut], means[RESAMPLES - 1 - cut])
}

#[cfg(test)]
mod tests {
    use super::{bootstrap, wilson};

    #[test]
    fn a_bootstrap_interval_lies_within_the_values_and_narrows_with_their_number() {
        assert_eq!(bootstrap(&[0.7]), (0.7, 0.7));
        let few = [0.2, 0.9, 0.6];
        let (low, high) = bootstrap(&few);
        assert!((0.2..0.5).contains(&low) && (0.7..=0.9).contains(&high), "{low} {high}");
        assert_eq!(bootstrap(&few), (low, high), "the same every time");
        let many: Vec<f64> = few.iter().copied().cycle().take(300).collect();
        let (least, most) = bootstrap(&many);
        // Of the mean of 300 the deviation is 0.29 / 17.
        assert!(least > 0.52 && most < 0.61 && least < 0.567 && most > 0.567, "{least} {most}");
    }

    /// Brown, Cai and DasGupta 2001 give such intervals; these were worked out by hand.
    #[test]
    fn wilson_intervals_hold_the_share_and_stay_within_0_and_1() {
        let (low, high) = wilson(0.0, 10);
        assert!(low == 0.0 && (high - 0.277_532_799).abs() < 1e-8, "{low} {high}");
        let (low, high) = wilson(0.5, 100);
        assert!((low - 0.403_831_530).abs() < 1e-8 && (high - 0.596_168_470).abs() < 1e-8, "{low} {high}");
        for count in [1, 7, 1000] {
            for right in 0..=count {
                let share = right as f64 / count as f64;
                let (low, high) = wilson(share, count);
                assert!(0.0 <= low && low <= share && share <= high && high <= 1.0);
            }
        }
        assert_eq!(wilson(0.0, 0), (0.0, 1.0));
    }
}
