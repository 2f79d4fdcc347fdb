//! Choosing the next token.

use crate::GenerateError;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How the next token is chosen from the logits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
///
/// It can be written with serde and read again, and then draws on as if nothing had happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Position", into = "Position")]
pub struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
}

/// Where a sampler stands in its stream of random numbers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    sampling: Sampling,
    /// How many tokens were drawn at random.
    drawn: u64,
}

/// The 32-bit words of the random stream that one token takes.
const WORDS: u128 = 2;

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

    /// How the tokens are chosen.
    pub fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// The next token, as [`try_next`](Self::try_next) chooses it.
    ///
    /// # Panics
    ///
    /// Where [`try_next`](Self::try_next) returns an error, with its text.
    #[track_caller]
    pub fn next(&mut self, logits: &[f32]) -> usize {
        self.try_next(logits).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The next token. A logit of +∞ wins over all finite ones; several are equally likely. A token whose logit is −∞ or
    /// not a number is never chosen, whatever the options.
    ///
    /// # Errors
    ///
    /// [`GenerateError::NoToken`] if no logit is a number above −∞: all are masked, or the model computes NaN. No
    /// random number is used up then.
    pub fn try_next(&mut self, logits: &[f32]) -> Result<usize, GenerateError> {
        let mut order: Vec<usize> =
            (0..logits.len()).filter(|token| logits[*token] > f32::NEG_INFINITY).collect();
        // Adding 0 makes the two zeros equal.
        let likely = |a: &usize, b: &usize| (logits[*b] + 0.0).total_cmp(&(logits[*a] + 0.0));
        // `min_by` takes the first of equals, and a stable sort keeps it in front.
        let Some(best) = order.iter().copied().min_by(likely) else {
            return Err(GenerateError::NoToken { logits: logits.len() });
        };
        let Sampling::Random { temperature, top_k, top_p, .. } = self.sampling else { return Ok(best) };
        if logits[best] == f32::INFINITY {
            order.retain(|token| logits[*token] == f32::INFINITY);
        }
        order.sort_by(likely);
        order.truncate(top_k.unwrap_or(usize::MAX));

        // Zero among equals: the difference of two infinities is no number.
        let above = |token: usize| match logits[token] == logits[best] {
            true => 0.0,
            false => f64::from(logits[token]) - f64::from(logits[best]),
        };
        let weights: Vec<f64> = order
            .iter()
            .map(|token| (above(*token) / temperature).exp())
            .take_while(|weight| *weight > 0.0)
            .collect();
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
                return Ok(*token);
            }
        }
        Ok(order[count - 1])
    }
}

impl From<Sampler> for Position {
    fn from(Sampler { sampling, random }: Sampler) -> Self {
        Self { sampling, drawn: (random.get_word_pos() / WORDS) as u64 }
    }
}

impl TryFrom<Position> for Sampler {
    type Error = GenerateError;

    fn try_from(Position { sampling, drawn }: Position) -> Result<Self, GenerateError> {
        let mut sampler = Self::new(sampling)?;
        sampler.random.set_word_pos(u128::from(drawn) * WORDS);
        Ok(sampler)
    }
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
        assert_eq!(
            Sampler::new(Sampling::Greedy).unwrap().next(&[-1.0, -0.0, 0.0]),
            1,
            "the first among equals"
        );
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
    fn an_infinite_logit_wins_and_several_share() {
        let logits = [0.0, f32::INFINITY, -5.0, f32::INFINITY];
        assert_eq!(Sampler::new(Sampling::Greedy).unwrap().next(&logits), 1);
        for temperature in [1e-300, 1.0, 1e38] {
            let mut sampler = Sampler::new(random(temperature, None, None)).unwrap();
            let ones = (0..2000).filter(|_| sampler.next(&logits) == 1).count();
            assert!((900..1100).contains(&ones), "{ones}");
            let mut sampler = Sampler::new(random(temperature, Some(3), Some(0.9))).unwrap();
            assert!((0..200).all(|_| [1, 3].contains(&sampler.next(&logits))));
        }
    }

    #[test]
    fn a_masked_token_is_never_drawn() {
        let logits = [f32::NEG_INFINITY, f32::MIN, f32::NAN, f32::MAX, f32::NEG_INFINITY];
        for (top_k, top_p) in [(None, None), (Some(5), None), (None, Some(1.0)), (Some(4), Some(1.0))] {
            for temperature in [5e-324, 1e-300, 1.0, 1e38, f64::MAX] {
                let mut sampler = Sampler::new(random(temperature, top_k, top_p)).unwrap();
                assert!((0..500).all(|_| [1, 3].contains(&sampler.next(&logits))));
            }
        }
    }

    #[test]
    fn where_nothing_can_be_drawn_is_an_error() {
        for logits in [vec![f32::NAN; 3], vec![f32::NEG_INFINITY, f32::NAN], Vec::new()] {
            for sampling in [Sampling::Greedy, random(1.0, Some(2), None)] {
                let error = Sampler::new(sampling).unwrap().try_next(&logits).unwrap_err();
                assert_eq!(error, GenerateError::NoToken { logits: logits.len() });
            }
        }
    }

    #[test]
    #[should_panic(expected = "none of the 2 logits is a number above minus infinity")]
    fn next_panics_with_the_text_of_the_error() {
        Sampler::new(Sampling::Greedy).unwrap().next(&[f32::NAN, f32::NEG_INFINITY]);
    }

    #[test]
    fn a_sampler_that_was_written_draws_on() {
        for sampling in [Sampling::Greedy, random(2.0, Some(3), Some(0.99))] {
            let mut sampler = Sampler::new(sampling).unwrap();
            for drawn in 0..40 {
                let text = serde_json::to_string(&sampler).unwrap();
                let mut read: Sampler = serde_json::from_str(&text).unwrap();
                for _ in 0..drawn {
                    assert_eq!(read.clone().next(&LOGITS), sampler.clone().next(&LOGITS));
                }
                assert_eq!(read.next(&LOGITS), sampler.next(&LOGITS));
            }
        }
    }

    #[test]
    fn a_sampler_that_cannot_be_is_not_read() {
        let text = |temperature: &str, more: &str| {
            format!(
                r#"{{"sampling": {{"Random": {{"temperature": {temperature}, "top_k": null, "top_p": null, "seed": 1{more}}}}}, "drawn": 0}}"#
            )
        };
        assert!(serde_json::from_str::<Sampler>(&text("1.0", "")).is_ok());
        let message = |text: String| serde_json::from_str::<Sampler>(&text).unwrap_err().to_string();
        assert!(message(text("-1.0", "")).contains("the temperature is -1"));
        assert!(message(text("1.0", ", \"topk\": 2")).contains("topk"));
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
