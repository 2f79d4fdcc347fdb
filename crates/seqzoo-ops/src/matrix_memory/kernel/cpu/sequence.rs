//! The operator's arguments as slices.

use super::extents::Extents;
use super::tokens::Tokens;

/// How the memory decays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fading {
    None,
    /// By one number per head, or per head and token, which all channels share.
    Shared,
    /// By one number per head, token and key channel.
    PerChannel,
}

/// A log decay and how it is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decay<'a, E> {
    pub numbers: &'a [E],
    /// Elements between neighbours in batch, time and heads; 0 where one number serves all.
    strides: [usize; 3],
    /// Heads of the values that share a head of the decay.
    pub group: usize,
    pub fading: Fading,
}

impl<'a, E> Decay<'a, E> {
    pub fn none() -> Self {
        Self { numbers: &[], strides: [0; 3], group: 1, fading: Fading::None }
    }

    /// From a tensor `[1 or b, 1 or t, hd, 1 or k]`, where `hd` divides the `heads` of the values.
    pub fn new(numbers: &'a [E], shape: [usize; 4], heads: usize) -> Self {
        let [batch, time, decay_heads, channels] = shape;
        let stride = |extent: usize, inside: usize| if extent == 1 { 0 } else { inside };
        let strides = [
            stride(batch, time * decay_heads * channels),
            stride(time, decay_heads * channels),
            stride(decay_heads, channels),
        ];
        let fading = if channels == 1 { Fading::Shared } else { Fading::PerChannel };
        Self { numbers, strides, group: heads / decay_heads, fading }
    }

    /// Where the numbers of a token begin.
    pub fn at(&self, batch: usize, token: usize, head: usize) -> usize {
        let [batch_stride, time_stride, head_stride] = self.strides;
        batch * batch_stride + token * time_stride + head / self.group * head_stride
    }
}

/// Everything that the forward pass reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence<'a, E> {
    pub extents: Extents,
    pub query: Tokens<'a, E>,
    pub key: Tokens<'a, E>,
    pub value: Tokens<'a, E>,
    pub decay: Decay<'a, E>,
    pub scale: E,
}

impl<E> Sequence<'_, E> {
    /// How many neighbouring heads of the values share keys and queries, or decays, with each other alone. The
    /// gradients of what they share are summed, head by head.
    pub fn group(&self) -> usize {
        let (keys, decays) = (self.key.layout.group, self.decay.group);
        // The least common multiple.
        (1..=decays).map(|times| times * keys).find(|both| both.is_multiple_of(decays)).unwrap_or(1)
    }
}
