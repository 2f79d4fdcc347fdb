//! What the gates of a block come to, `[b, h, n, EDGES, SLOTS]`: how far what was there before it, and what its tokens
//! write, are in what it reads and leaves. The tensor of the gradients has the same rows.

/// Of the weights before the block in those that a token reads.
pub(super) const WEIGHTS: usize = 0;
/// Of the momentum before the block in the weights that a token reads.
pub(super) const MOMENTUM: usize = 1;
/// Of what a token writes in the weights after the block.
pub(super) const ADDED: usize = 2;
/// Of what a token writes in the momentum after the block.
pub(super) const MOVED: usize = 3;
/// The step of a token. It has no gradient here.
pub(super) const STEP: usize = 4;
/// The numbers below.
pub(super) const WHOLE: usize = 5;
/// Rows.
pub(in super::super) const EDGES: usize = 6;

/// Of the weights before the block in those after it.
pub(super) const WEIGHTS_LEFT: usize = 0;
/// Of the momentum before the block in the weights after it.
pub(super) const MOMENTUM_ADDED: usize = 1;
/// Of the momentum before the block in the momentum after it.
pub(super) const MOMENTUM_LEFT: usize = 2;
/// What happens before the block, as its mark says.
pub(super) const KIND: usize = 3;
/// Where its chunk begins, as its mark says.
pub(super) const ORIGIN: usize = 4;
