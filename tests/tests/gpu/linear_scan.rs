//! The linear scan, real and complex: lengths, factors, resets and splits.

use crate::gpu;
use seqzoo_tests::operators::{ComplexLinearScan, LinearScan};

mod real {
    seqzoo_tests::ladder!(scans_device, super::LinearScan, super::gpu());
}

mod complex {
    seqzoo_tests::ladder!(scans_device, super::ComplexLinearScan, super::gpu());
}
