//! Rotary position embedding.

use super::RotaryScaling;
use crate::ConfigError;
use crate::ops::Form;
use crate::ops::token_wise::rotary::rotate;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

pub use crate::ops::token_wise::rotary::RotaryLayout;

/// Rotary position embedding over pairs of channels `(a, b)`, the pair `i` of `d/2`.
///
/// ```text
/// x'_a = x_a cos(pθ_i) − x_b sin(pθ_i)
/// x'_b = x_b cos(pθ_i) + x_a sin(pθ_i)        θ_i = base^(−2i/d)
/// ```
///
/// The pairs are `(i, i + d/2)`, or as another [`RotaryLayout`] says, and the frequencies those, or as a [`RotaryScaling`]
/// changes them. The angles are computed in `f64` on the host from the exact position, so a stream of millions of
/// tokens keeps its phases.
///
/// Source: Su et al. 2021, <https://arxiv.org/abs/2104.09864> (sec. 3.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotary {
    base: f64,
    layout: RotaryLayout,
    scaling: RotaryScaling,
}

impl Rotary {
    /// Rotations with the base given, 10,000 as published.
    ///
    /// # Errors
    ///
    /// If `head_dim` is odd or the base is not above 1.
    pub fn new(layer: &str, base: f64, head_dim: usize) -> Result<Self, ConfigError> {
        ConfigError::unless(head_dim.is_multiple_of(2), layer, || {
            format!("rotary positions turn pairs of channels, but a head has {head_dim}; make it even")
        })?;
        ConfigError::unless(base.is_finite() && base > 1.0, layer, || {
            format!("rotary_base = {base}, but a number above 1 is wanted (10000 is usual)")
        })?;
        Ok(Self { base, layout: RotaryLayout::default(), scaling: RotaryScaling::None })
    }

    /// The same rotations of other pairs of channels.
    pub fn with_layout(self, layout: RotaryLayout) -> Self {
        Self { layout, ..self }
    }

    /// The same rotations of `head_dim` channels at other frequencies.
    ///
    /// # Errors
    ///
    /// If a number of the scaling is out of its range.
    pub fn with_scaling(
        self,
        layer: &str,
        scaling: RotaryScaling,
        head_dim: usize,
    ) -> Result<Self, ConfigError> {
        scaling.check(layer, head_dim)?;
        Ok(Self { scaling, ..self })
    }

    /// The rotations of `head_dim` channels of `time` tokens, the first at `position`.
    pub fn at(&self, position: u64, time: usize, head_dim: usize, dtype: DType, device: &Device) -> Rotation {
        let half = head_dim / 2;
        let frequencies = self.scaling.frequencies(self.base, head_dim);
        let factor = self.scaling.attention_factor();
        let (mut cos, mut sin) = (Vec::with_capacity(time * half), Vec::with_capacity(time * half));
        for t in 0..time {
            for frequency in &frequencies {
                let angle = (position as f64 + t as f64) * frequency;
                cos.push(factor * angle.cos());
                sin.push(factor * angle.sin());
            }
        }
        let table = |values| Tensor::from_data(TensorData::new(values, [1, time, 1, half]), (device, dtype));
        Rotation { cos: table(cos), sin: table(sin), layout: self.layout }
    }
}

/// The rotations of a run of tokens.
pub struct Rotation {
    cos: Tensor<4>, // [1, t, 1, d/2], or [b, t, 1, d/2]
    sin: Tensor<4>,
    layout: RotaryLayout,
}

impl Rotation {
    /// The rotations of tokens that stand at these places of the run, `[B, T]`.
    pub fn select(&self, places: &Tensor<2, Int>) -> Self {
        let [batch, time] = places.dims();
        let places = places.clone().reshape([batch * time]);
        let pick = |table: &Tensor<4>| {
            let half = table.dims()[3];
            table.clone().select(1, places.clone()).reshape([batch, time, 1, half])
        };
        Self { cos: pick(&self.cos), sin: pick(&self.sin), layout: self.layout }
    }

    /// Turns `[B, T, H, d]`. Heads may have more channels than there are rotations for; the last ones then stay as they are.
    pub fn apply(&self, tokens: Tensor<4>) -> Tensor<4> {
        rotate(tokens, self.cos.clone(), self.sin.clone(), self.layout, Form::Auto)
    }
}
