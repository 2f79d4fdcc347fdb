//! Linear attention: lengths, widths, decays, resets, splits and hostile numbers.

use crate::gpu;
use seqzoo_tests::ladder::{MemoryOperator, device};
use seqzoo_tests::operators::{Fading, LinearAttention};

seqzoo_tests::ladder!(device, LinearAttention, gpu());

#[test]
fn widths_at_the_edges_of_the_tiles() {
    let widths = [(1, 1), (31, 33), (32, 64), (33, 65), (65, 32), (128, 20)];
    for decay in [Fading::Scalar, Fading::Vector] {
        let kind = LinearAttention::kind(decay, false);
        device::at_widths::<LinearAttention>(&gpu(), kind, &widths);
    }
}
