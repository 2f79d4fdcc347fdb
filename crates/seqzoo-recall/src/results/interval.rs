//! Intervals around a share.

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
    (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::wilson;

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
