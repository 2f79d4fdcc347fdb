//! Rotary frequencies for texts longer than those of training.

use crate::ConfigError;
use burn::config::Config;
use std::f64::consts::TAU;

/// How the frequencies of [`Rotary`](super::Rotary) positions are changed, so that a model reads texts longer than those it
/// was trained on.
///
/// In the formulas `θ_i = base^(−2i/d)` are the frequencies of the `d/2` pairs of channels that turn, without a change, and
/// `s` is the `factor` by which the texts become longer, at least 1. All changes are the same for all tokens, so that a
/// stream may be of any length.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum RotaryScaling {
    /// No change.
    None,
    /// Position interpolation: `θ_i / s`, as if positions were closer together.
    ///
    /// Source: Chen et al. 2023, <https://arxiv.org/abs/2306.15595> (eq. 4).
    Linear {
        /// `s`.
        factor: f64,
    },
    /// NTK-aware interpolation: another base, `base · s^(d/(d−2))`. The fastest pair turns as before, the slowest one
    /// `s` times as slowly.
    ///
    /// The "dynamic" variant of transformers takes `s = f·T/L − (f − 1)` for a text of `T` tokens; give that for a fixed `T`.
    ///
    /// Source: Peng et al. 2023, <https://arxiv.org/abs/2309.00071> (sec. 3.1, definition 1).
    Ntk {
        /// `s`.
        factor: f64,
    },
    /// YaRN: pairs that turn often within the texts of training keep their frequency, those that turn seldom are
    /// interpolated, and queries and keys are multiplied by an attention factor.
    ///
    /// ```text
    /// θ'_i  = (1 − γ_i) θ_i + γ_i θ_i / s          γ_i = clamp((i − low) / (high − low), 0, 1)
    /// low   = ⌊dim(beta_fast)⌋, high = ⌈dim(beta_slow)⌉    dim(r) = d ln(L / 2πr) / (2 ln base)
    /// ```
    ///
    /// Source: Peng et al. 2023, <https://arxiv.org/abs/2309.00071> (sec. 3.2 to 3.4), with the limits of transformers.
    Yarn {
        /// `s`.
        factor: f64,
        /// `L`, how many tokens the texts of training had.
        original_length: usize,
        /// From how many turns within `L` tokens on a pair keeps its frequency; 32 as published.
        beta_fast: f64,
        /// Up to how many turns within `L` tokens a pair is interpolated in full; 1 as published.
        beta_slow: f64,
        /// Multiplies rotated queries and keys, so that scores are multiplied by its square. `None`: `0.1 ln s + 1`.
        attention_factor: Option<f64>,
        /// Whether `low` and `high` are rounded to whole pairs, as usual; gpt-oss does not.
        truncate: bool,
    },
}

impl RotaryScaling {
    /// [`Yarn`](Self::Yarn) with the constants published.
    pub fn yarn(factor: f64, original_length: usize) -> Self {
        Self::Yarn {
            factor,
            original_length,
            beta_fast: 32.0,
            beta_slow: 1.0,
            attention_factor: None,
            truncate: true,
        }
    }

    /// Says what is wrong with the scaling of `channels` channels in `layer`, if anything is.
    pub(super) fn check(self, layer: &str, channels: usize) -> Result<(), ConfigError> {
        let (Self::Linear { factor } | Self::Ntk { factor } | Self::Yarn { factor, .. }) = self else {
            return Ok(());
        };
        ConfigError::unless(factor.is_finite() && factor >= 1.0, layer, || {
            format!("rotary_scaling has factor = {factor}, but a number of at least 1 is wanted")
        })?;
        match self {
            Self::Ntk { .. } => ConfigError::unless(channels > 2, layer, || {
                format!(
                    "rotary_scaling changes the base for {channels} rotary channels, but its formula wants more than 2"
                )
            }),
            Self::Yarn { original_length, beta_fast, beta_slow, attention_factor, .. } => {
                ConfigError::unless(original_length > 0, layer, || {
                    "rotary_scaling has original_length = 0; give the length of the texts of training".into()
                })?;
                let ordered = beta_fast.is_finite() && beta_slow > 0.0 && beta_fast > beta_slow;
                ConfigError::unless(ordered, layer, || {
                    format!(
                        "rotary_scaling has beta_fast = {beta_fast} and beta_slow = {beta_slow}, but two positive numbers are \
                         wanted, the first one larger (32 and 1 are usual)"
                    )
                })?;
                let positive = attention_factor.is_none_or(|factor| factor.is_finite() && factor > 0.0);
                ConfigError::unless(positive, layer, || {
                    format!(
                        "rotary_scaling has attention_factor = {}, but a positive number is wanted",
                        attention_factor.unwrap_or_default()
                    )
                })
            }
            _ => Ok(()),
        }
    }

    /// The frequencies of `channels / 2` pairs.
    pub(super) fn frequencies(self, base: f64, channels: usize) -> Vec<f64> {
        let dims = channels as f64;
        let plain = |base: f64| (0..channels / 2).map(move |pair| base.powf(-2.0 * pair as f64 / dims));
        match self {
            Self::None => plain(base).collect(),
            Self::Linear { factor } => plain(base).map(|frequency| frequency / factor).collect(),
            Self::Ntk { factor } => plain(base * factor.powf(dims / (dims - 2.0))).collect(),
            Self::Yarn { factor, original_length, beta_fast, beta_slow, truncate, .. } => {
                let dim =
                    |turns: f64| dims * (original_length as f64 / (TAU * turns)).ln() / (2.0 * base.ln());
                let (low, high) = (dim(beta_fast), dim(beta_slow));
                let (low, high) = if truncate { (low.floor(), high.ceil()) } else { (low, high) };
                let low = low.max(0.0);
                // A ramp without a width is a step.
                let high = high.min(dims - 1.0).max(low + 1e-3);
                let mixed = |(pair, frequency): (usize, f64)| {
                    let slow = ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0);
                    frequency * (1.0 - slow) + frequency / factor * slow
                };
                plain(base).enumerate().map(mixed).collect()
            }
        }
    }

    /// What rotated queries and keys are multiplied by.
    pub(super) fn attention_factor(self) -> f64 {
        match self {
            Self::Yarn { factor, attention_factor, .. } => {
                attention_factor.unwrap_or_else(|| 0.1 * factor.ln() + 1.0)
            }
            _ => 1.0,
        }
    }
}
