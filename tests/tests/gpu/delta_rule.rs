//! The delta rule: lengths, widths, betas, decays, resets, splits and hostile numbers.

use crate::gpu;
use burn::tensor::DType;
use seqzoo::ops::Form;
use seqzoo_tests::ladder::{Case, MemoryOperator, device};
use seqzoo_tests::operators::delta_rule::nearly_one_key;
use seqzoo_tests::operators::{DeltaRule, Fading, Shape};
use seqzoo_tests::{autodiff, plain, values};

seqzoo_tests::ladder!(device, DeltaRule, gpu());

#[test]
fn widths_at_the_edges_of_the_tiles() {
    // A program is built anew for every 32 rows more, and the driver takes its time over it.
    let few = [(1, 1), (31, 33), (32, 64), (33, 65)];
    let all = [(1, 1), (31, 33), (32, 64), (33, 65), (65, 32), (128, 20), (256, 7)];
    device::at_widths::<DeltaRule>(&gpu(), DeltaRule::kind(Fading::Scalar, false), &few);
    device::at_widths::<DeltaRule>(&gpu(), DeltaRule::kind(Fading::Vector, true), &all);
}

#[test]
fn keys_that_are_nearly_one_key_keep_single_precision() {
    for beta in [1.0, 1.9, 2.0] {
        device::assert_kernel_is_the_law(&gpu(), nearly_one_key(100, 0.08, beta, &autodiff()));
    }
}

#[test]
fn what_others_hold_is_not_overwritten() {
    for time in [1, 20] {
        let shape = Shape { batch: 2, time, key_heads: 2, heads: 2, key: 4, value: 4 };
        let case = Case::<DeltaRule>::random(DeltaRule::kind(Fading::Scalar, false), &shape, 3, &plain());
        let mut case = case.on(&gpu().inner(), DType::F32);
        case.inputs.value = case.inputs.key.clone(); // one tensor in two roles
        let before = values(case.inputs.value.clone());
        let memory = values(case.state.clone().unwrap());
        let (first, _) = case.run(Form::Kernel);
        let (second, _) = case.run(Form::Kernel);
        assert_eq!(first.into_data(), second.into_data());
        assert_eq!(values(case.inputs.value), before);
        assert_eq!(values(case.state.unwrap()), memory);
    }
}
