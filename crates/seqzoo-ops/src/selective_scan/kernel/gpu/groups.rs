//! Groups of channels, which share `B` and `C`, both `[b, t, g, n]`.

use cubecl::prelude::*;

/// The group of a channel.
#[cube]
pub(super) fn group_of(channel: usize, channels: usize, groups: usize) -> usize {
    channel / (channels / groups)
}

/// Where the `size` numbers begin that a group has at `token`, of those of all sequences.
#[cube]
pub(super) fn numbers_of(group: usize, token: usize, groups: usize, size: usize) -> usize {
    (token * groups + group) * size
}
