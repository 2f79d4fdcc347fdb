//! The short convolutions after the query, key and value projections.

use super::{ShortConv, ShortConvConfig};
use crate::ConfigError;
use crate::ops::Segments;
use crate::state::{StateField, StateMapper, StatePart};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};

const NAMES: [&str; 3] = ["query_conv", "key_conv", "value_conv"];

/// The last inputs of the query, key and value convolutions, `[B, W - 1, _]` each; none where a layer has no
/// convolutions.
#[derive(Clone, Debug, Default)]
pub struct ConvStates(pub Vec<Tensor<3>>);

/// The names in files are those of the convolutions, whatever the field is called.
impl StateField for ConvStates {
    fn map_field<M: StateMapper>(self, _: &str, mapper: &mut M) -> Self {
        let states = self.0.into_iter().zip(NAMES);
        Self(states.map(|(state, name)| mapper.tensor(name, StatePart::Convolution, state)).collect())
    }
}

/// A [`ShortConv`] each for query, key and value, or none at all.
#[derive(Module, Debug)]
pub struct ShortConvs {
    /// None, or those of query, key and value.
    pub convs: Vec<ShortConv>,
}

impl ShortConvs {
    /// Convolutions of `width` taps over `channels` of query, key and value; none without a width.
    pub(crate) fn try_init(
        channels: [usize; 3],
        width: Option<usize>,
        bias: bool,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        let Some(width) = width else { return Ok(Self { convs: Vec::new() }) };
        let conv =
            |channels| ShortConvConfig::new(channels).with_width(width).with_bias(bias).try_init(device);
        Ok(Self { convs: channels.into_iter().map(conv).collect::<Result<_, _>>()? })
    }

    /// The states of all convolutions before the first token.
    pub fn init_state(&self, batch: usize, device: &Device) -> ConvStates {
        ConvStates(self.convs.iter().map(|conv| conv.init_state(batch, device)).collect())
    }

    /// Query, key and value `[B, T, _]` through their convolutions, and the states after the last token.
    ///
    /// # Panics
    ///
    /// If the states are not as many as the convolutions.
    #[track_caller]
    pub fn forward(
        &self,
        projected: [Tensor<3>; 3],
        resets: Option<&Tensor<2, Bool>>,
        states: ConvStates,
    ) -> ([Tensor<3>; 3], ConvStates) {
        self.each(projected, states, |conv, tokens, state| conv.forward(tokens, resets.cloned(), Some(state)))
    }

    /// The same of several sequences in every row, of which there are `N` states.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    #[track_caller]
    pub fn forward_segments(
        &self,
        projected: [Tensor<3>; 3],
        resets: Option<&Tensor<2, Bool>>,
        segments: &Segments,
        states: ConvStates,
    ) -> ([Tensor<3>; 3], ConvStates) {
        self.each(projected, states, |conv, tokens, state| {
            conv.forward_segments(tokens, resets.cloned(), segments.clone(), Some(state))
        })
    }

    #[track_caller]
    fn each(
        &self,
        projected: [Tensor<3>; 3],
        ConvStates(states): ConvStates,
        forward: impl Fn(&ShortConv, Tensor<3>, Tensor<3>) -> (Tensor<3>, Tensor<3>),
    ) -> ([Tensor<3>; 3], ConvStates) {
        assert_eq!(
            states.len(),
            self.convs.len(),
            "The argument `state` holds {} convolution states, but the layer has {} convolutions.",
            states.len(),
            self.convs.len()
        );
        let (mut tokens, mut after) = (projected, Vec::with_capacity(states.len()));
        for ((tokens, conv), state) in tokens.iter_mut().zip(&self.convs).zip(states) {
            let (output, state) = forward(conv, tokens.clone(), state);
            *tokens = output;
            after.push(state);
        }
        (tokens, ConvStates(after))
    }
}
