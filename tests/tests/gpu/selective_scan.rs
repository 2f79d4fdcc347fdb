//! The selective scan: lengths, groups, sizes of states, options, resets, splits and hostile numbers.

use crate::gpu;
use burn::tensor::{DType, Tensor};
use seqzoo_tests::ladder::{Case, device};
use seqzoo_tests::operators::SelectiveScan;
use seqzoo_tests::operators::selective_scan::{Kind, alternating};
use seqzoo_tests::{Inputs, autodiff};

seqzoo_tests::ladder!(scans_device, SelectiveScan, gpu());

#[test]
fn states_of_any_size_and_groups_of_any_width() {
    // Sizes around what a unit takes at once; groups of one channel, of part of a cube, and of several cubes.
    for (size, channels, groups) in [(1, 3, 1), (16, 65, 1), (17, 12, 4), (24, 5, 5), (40, 260, 2)] {
        let shape = [2, 70, channels];
        let random = &mut Inputs::new(size as u64, &autodiff());
        let state = [2, channels, size];
        let case = Case {
            inputs: SelectiveScan::sized(Kind::Full, &shape, groups, size, random),
            state: Some(random.uniform(state)),
            resets: None,
            output_cotangent: random.uniform(shape),
            state_cotangent: random.uniform(state),
        };
        device::assert_kernel_is_the_law(&gpu(), case.clone());
        device::assert_kernel_is_the_law(&gpu(), case.with_resets(3, 0.1));
    }
}

#[test]
fn steps_may_be_tiny_and_rates_large() {
    for steps in [[1e-8, 100.0], [1e-8, 1e-8], [100.0, 100.0]] {
        for rates in [[-1e-8, -1e4], [-1e4, -1e4], [-1.0, -0.1]] {
            device::assert_kernel_is_the_law(&gpu(), alternating(steps, rates));
        }
    }
}

#[test]
fn a_softplus_has_all_its_digits_anywhere() {
    for delta in [-30.0, -12.0, -3.0, -0.1, 0.0, 0.1, 3.0, 40.0] {
        let mut case = Case::<SelectiveScan>::random(Kind::Full, &[1, 2, 1], 3, &autodiff());
        case.inputs.limits = None;
        case.inputs.delta_bias = Some(Tensor::zeros([1], (&autodiff(), DType::F64)));
        case.inputs.delta = Tensor::full([1, 2, 1], delta, (&autodiff(), DType::F64));
        case.inputs.a = Tensor::zeros_like(&case.inputs.a);
        // Without an old state and a skip, all outputs are as small as the steps.
        case.state = None;
        case.inputs.d = None;
        device::assert_kernel_is_the_law(&gpu(), case);
    }
}

#[test]
fn steps_outside_the_limits_have_no_gradient() {
    let mut case = Case::<SelectiveScan>::random(Kind::Bare, &[1, 3, 2], 3, &autodiff());
    case.inputs.limits = Some((0.1, 0.5));
    let delta = [[[0.05, 0.2], [0.2, 0.9], [0.9, 0.05]]];
    case.inputs.delta = Tensor::from_data(delta, (&autodiff(), DType::F64));
    device::assert_kernel_is_the_law(&gpu(), case);
}
