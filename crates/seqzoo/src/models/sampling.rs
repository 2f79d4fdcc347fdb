//! Choosing the next token.

use crate::GenerateError;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How the next token is chosen from the logits.
#[derive(Clone, Debug, PartialEq)]
pub enum Sampling {
    /// The most likely token; the first one among equals.
    Greedy,
    /// A random token, after dividing the logits by `temperature` and keeping the most likely ones.
    Random {
        /// Above 0; 1 leaves the model's distribution, less sharpens it.
        temperature: f64,
        /// Keeps the `top_k` most likely tokens. `None`: all.
        top_k: Option<usize>,
        /// Keeps the most likely tokens that together have at least this probability. `None`: all.
        top_p: Option<f64>,
        /// The same seed gives the same tokens.
        seed: u64,
    },
}

/// Draws tokens from logits.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
}

impl Sampler {
    /// A sampler.
    ///
    /// # Errors
    ///
    /// If the temperature is not above 0, `top_k` is 0, or `top_p` is not in (0, 1].
    pub fn new(sampling: Sampling) -> Result<Self, GenerateError> {
        let mut seed = 0;
        if let Sampling::Random { temperature, top_k, top_p, seed: chosen } = &sampling {
            GenerateError::unless(*temperature > 0.0 && temperature.is_finite(), || {
                format!(
                    "the temperature is {temperature}, but a number above 0 is wanted (or greedy sampling)"
                )
            })?;
            GenerateError::unless(*top_k != Some(0), || {
                "top_k is 0, but at least 1 token must be kept".into()
            })?;
            GenerateError::unless(top_p.is_none_or(|p| p > 0.0 && p <= 1.0), || {
                let found = top_p.unwrap_or_default();
                format!("top_p is {found}, but a probability above 0 and at most 1 is wanted")
            })?;
            seed = *chosen;
        }
        Ok(Self { sampling, random: ChaCha8Rng::seed_from_u64(seed) })
    }

    /// The next token. A logit that is not a number is never chosen where another is one.
    ///
    /// # Panics
    ///
    /// If there are no logits.
    #[track_caller]
    pub fn next(&mut self, logits: &[f32]) -> usize {
        assert!(!logits.is_empty(), "The argument `logits` is empty, but at least one token is wanted.");
        let logits = &logits.iter().map(|logit| logit.max(f32::MIN)).collect::<Vec<_>>();
        let Sampling::Random { temperature, top_k, top_p, .. } = self.sampling else {
            return greedy(logits);
        };
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        order.truncate(top_k.unwrap_or(usize::MAX));

        let max = f64::from(logits[order[0]]);
        let weights: Vec<f64> =
            order.iter().map(|token| ((f64::from(logits[*token]) - max) / temperature).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mut kept = 0.0;
        let mut count = 0;
        for weight in &weights {
            kept += weight;
            count += 1;
            if top_p.is_some_and(|p| kept >= p * total) {
                break;
            }
        }

        let mut left = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * kept;
        for (token, weight) in order.iter().zip(&weights).take(count) {
            left -= weight;
            if left < 0.0 {
                return *token;
            }
        }
        order[count - 1]
    }
}

fn greedy(logits: &[f32]) -> usize {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 4] = [0.0, 3.0, 2.0, 1.0];

    fn random(temperature: f64, top_k: Option<usize>, top_p: Option<f64>) -> Sampling {
        Sampling::Random { temperature, top_k, top_p, seed: 1 }
    }

    fn drawn(sampling: Sampling) -> [usize; 4] {
        let mut sampler = Sampler::new(sampling).unwrap();
        let mut counts = [0; 4];
        for _ in 0..4000 {
            counts[sampler.next(&LOGITS)] += 1;
        }
        counts
    }

    #[test]
    fn greedy_takes_the_most_likely() {
        assert_eq!(Sampler::new(Sampling::Greedy).unwrap().next(&LOGITS), 1);
    }

    #[test]
    fn temperature_one_draws_from_the_softmax() {
        let counts = drawn(random(1.0, None, None));
        let total: f64 = LOGITS.iter().map(|l| f64::from(*l).exp()).sum();
        for (count, logit) in counts.iter().zip(LOGITS) {
            let expected = 4000.0 * f64::from(logit).exp() / total;
            assert!((f64::from(*count as u32) - expected).abs() < 4.0 * expected.sqrt() + 1.0);
        }
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        assert_eq!(drawn(random(5.0, Some(2), None)).map(|count| count > 0), [false, true, true, false]);
        assert_eq!(drawn(random(1.0, None, Some(0.6))).map(|count| count > 0), [false, true, false, false]);
        assert_eq!(drawn(random(1.0, None, Some(0.8))).map(|count| count > 0), [false, true, true, false]);
        assert!(drawn(random(1.0, None, Some(1.0))).iter().all(|count| *count > 0));
    }

    #[test]
    fn what_is_no_number_is_never_chosen() {
        for logits in [[f32::NAN, 1.0, 2.0], [2.0, f32::NAN, 3.0], [f32::NEG_INFINITY, f32::NAN, 0.0]] {
            for sampling in [Sampling::Greedy, random(0.01, None, None)] {
                assert_eq!(Sampler::new(sampling).unwrap().next(&logits), 2);
            }
        }
    }

    #[test]
    fn options_out_of_range_are_refused() {
        for (sampling, word) in [
            (random(0.0, None, None), "temperature"),
            (random(f64::NAN, None, None), "temperature"),
            (random(1.0, Some(0), None), "top_k"),
            (random(1.0, None, Some(1.5)), "top_p"),
        ] {
            assert!(Sampler::new(sampling).unwrap_err().to_string().contains(word));
        }
    }
}
