//! The kernel of another device in `f32` against the law in `f64` on the CPU.

use super::change::{Times, View};
use super::segments::{Packed, Segmented, uneven};
use super::{Case, MemoryOperator, Operator, hostile, returned};
use crate::operators::{Fading, Shape, shape};
use crate::{autodiff, plain};
use burn::tensor::{DType, Device};
use seqzoo::ops::{Form, Segments};

/// Tokens in a chunk of the kernels with a matrix memory.
const CHUNK: usize = 16;

/// Of each tensor's largest element: `f32` sums against `f64` ones. All stay below a third of it, but for two: the
/// gradient of one decay per head, a sum over all tokens and channels in which much cancels; and keys that are nearly
/// one key where nothing fades, so that what is rounded stays.
const CLOSE: f64 = 1e-5;

/// Asserts that the kernel of `device` in `f32` computes what the recurrence computes in `f64`.
#[track_caller]
pub fn assert_kernel_is_the_law<O: Operator>(device: &Device, case: Case<O>) {
    assert_is_the_law(device, case, |case| case.run(Form::Kernel));
}

/// Asserts that `run` computes on `device` in `f32` what the recurrence computes in `f64`.
#[track_caller]
fn assert_is_the_law<O: Operator>(
    device: &Device,
    case: Case<O>,
    run: impl Fn(&Case<O>) -> (O::Output, O::State),
) {
    // Both sides see inputs that `f32` can hold.
    let rounded = case.on(&autodiff(), DType::F32).on(&autodiff(), DType::F64);
    let found = rounded.clone().on(device, DType::F32).outcome_of(run);
    found.assert_close(&rounded.outcome(Form::Naive), CLOSE);
}

pub fn the_device_has_a_kernel_and_auto_takes_it<O: Operator>(device: &Device) {
    let report = O::report(100, Form::Auto, device);
    assert_eq!(report.form, Form::Kernel);
    assert_eq!(report.to_string(), "CubeCL kernel (the device has it)");
}

pub fn awkward_lengths<O: Operator>(device: &Device) {
    for kind in O::DEVICE_KINDS {
        for time in [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5, 100] {
            let case = Case::<O>::random(*kind, &O::shape(time), time as u64, &autodiff());
            assert_kernel_is_the_law(device, case);
        }
    }
}

/// Asserts the law at these channels of keys and values.
pub fn at_widths<O: MemoryOperator>(device: &Device, kind: O::Kind, widths: &[(usize, usize)]) {
    for (key, value) in widths.iter().copied() {
        let shape = Shape { batch: 1, time: 37, key_heads: 1, heads: 2, key, value };
        let case = Case::<O>::random(kind, &shape, 4, &autodiff()).with_resets(8, 0.05);
        assert_kernel_is_the_law(device, case);
    }
}

pub fn resets_anywhere<O: Operator>(device: &Device) {
    for kind in O::DEVICE_KINDS {
        let case = Case::<O>::random(*kind, &O::shape(53), 3, &autodiff());
        assert_kernel_is_the_law(device, case.clone().with_resets(8, 0.2));
        assert_kernel_is_the_law(device, case.clone().with_resets_at(&[0, 7]));
        let whole_chunk: Vec<usize> = (CHUNK..2 * CHUNK).collect();
        assert_kernel_is_the_law(device, case.with_resets_at(&whole_chunk));
    }
}

/// Segments that are padded on the device, and some of one length, which are not.
pub fn segments_equal_separate_sequences<O: Segmented>(device: &Device) {
    for kind in O::KINDS {
        for segments in [uneven(), Segments::new(40, [vec![20, 0, 20], vec![20, 20]])] {
            let Packed { case, segments } = Packed::<O>::random(*kind, segments, 3).with_resets(0.1);
            let case = case.on(&autodiff(), DType::F32).on(&autodiff(), DType::F64);
            let packed = Packed { case, segments };
            let on_device = packed.case.clone().on(device, DType::F32);
            let found = on_device.outcome_of(|case| packed.run(case, Form::Kernel));
            found.assert_close(&packed.outcome_one_by_one(Form::Naive), CLOSE);
        }
    }
}

pub fn a_reset_before_the_first_token_clears_even_an_infinite_state<O: Operator>(device: &Device) {
    for kind in O::DEVICE_KINDS {
        for time in [1, 20, 100] {
            let mut case = Case::<O>::random(*kind, &O::shape(time), 3, &plain()).with_resets_at(&[0]);
            let wanted = case.returned(Form::Naive);
            case.state = case.state.map(|state| O::map_state(state, &mut Times(f64::INFINITY)));
            let found = case.on(&device.clone().inner(), DType::F32).returned(Form::Kernel);
            found.assert_close(&wanted, CLOSE);
        }
    }
}

pub fn any_split_gives_the_same<O: Operator>(device: &Device) {
    for kind in O::DEVICE_KINDS {
        for split in [1, 15, 16, 17, 39] {
            let case = Case::<O>::random(*kind, &O::shape(40), 4, &autodiff());
            assert_is_the_law(device, case, |case| case.in_parts([split, 40], Form::Kernel));
        }
    }
}

pub fn single_tokens_give_the_same_with_gradients<O: Operator>(device: &Device) {
    for kind in O::DEVICE_KINDS {
        let case = Case::<O>::random(*kind, &O::shape(19), 4, &autodiff()).with_resets_at(&[0, 7]);
        assert_is_the_law(device, case, |case| case.in_parts(1..=19, Form::Kernel));
    }
}

pub fn single_tokens_give_the_same_without_a_tape<O: Operator>(device: &Device) {
    for kind in O::DEVICE_KINDS {
        let case = Case::<O>::random(*kind, &O::shape(19), 4, &plain()).with_resets_at(&[0, 7]);
        let wanted = case.returned(Form::Naive);
        let (output, state) = case.on(&device.clone().inner(), DType::F32).in_parts(1..=19, Form::Kernel);
        returned::<O>(&output, &state).assert_close(&wanted, CLOSE);
    }
}

pub fn decays_of_e_to_the_minus_30_next_to_none_at_all<O: MemoryOperator>(device: &Device) {
    for kind in O::PLAIN {
        let case = Case::<O>::random(*kind, &shape(70), 2, &autodiff()).with_harsh_decays();
        assert_kernel_is_the_law(device, case);
    }
}

pub fn the_gradient_of_a_tiny_decay_has_as_many_digits_as_any_other<O: MemoryOperator>(device: &Device) {
    for kind in O::PLAIN {
        let case = Case::<O>::random(*kind, &shape(40), 2, &autodiff()).with_tiny_decays();
        assert_kernel_is_the_law(device, case);
    }
}

pub fn an_output_that_the_loss_never_uses_costs_no_gradient<O: MemoryOperator>(device: &Device) {
    let case = Case::<O>::random(O::kind(Fading::Vector, false), &shape(20), 3, &autodiff());
    hostile::check_unused_outputs(case.on(device, DType::F32), Form::Kernel);
}

pub fn inputs_may_be_views<O: Operator>(device: &Device) {
    for kind in O::DEVICE_KINDS {
        for time in [1, 20, 100] {
            let case = Case::<O>::random(*kind, &O::shape(time), 3, &plain());
            let case = case.on(&device.clone().inner(), DType::F32);
            let wanted = case.returned(Form::Kernel);
            case.map(&mut View).returned(Form::Kernel).assert_close(&wanted, 0.0);
        }
    }
}

/// Scans have chunks of 64 tokens, and 64 channels that meet nowhere in a cube.
pub fn scans_at_the_edges_of_chunks_and_cubes<O: Operator<Shape = [usize; 3]>>(device: &Device) {
    for kind in O::DEVICE_KINDS {
        for (time, channels) in [(63, 3), (64, 65), (65, 1), (128, 4), (200, 70)] {
            let case = Case::<O>::random(*kind, &[2, time, channels], 4, &autodiff());
            assert_kernel_is_the_law(device, case.clone());
            assert_kernel_is_the_law(device, case.with_resets(8, 0.05));
        }
    }
}

pub fn a_chunk_of_nothing_but_resets_keeps_only_the_last_token<O: Operator>(device: &Device) {
    for kind in O::DEVICE_KINDS {
        let resets: Vec<usize> = (64..128).collect();
        let case = Case::<O>::random(*kind, &O::shape(200), 5, &autodiff());
        assert_kernel_is_the_law(device, case.with_resets_at(&resets));
    }
}

pub fn what_others_hold_is_not_overwritten<O: Operator>(device: &Device) {
    for kind in O::DEVICE_KINDS {
        for time in [1, 20, 100] {
            let case = Case::<O>::random(*kind, &O::shape(time), 3, &autodiff()).on(device, DType::F32);
            let first = case.clone().outcome(Form::Kernel);
            case.outcome(Form::Kernel).assert_close(&first, 0.0);
        }
    }
}

/// Long enough for many chunks, and too long for the recurrence: the CPU kernel in `f64` stands for the law.
pub fn scans_of_many_chunks<O: Operator<Shape = [usize; 3]>>(device: &Device) {
    for kind in O::DEVICE_KINDS {
        let case = Case::<O>::random(*kind, &[2, 3000, 7], 6, &autodiff()).with_resets(8, 0.001);
        let rounded = case.on(&autodiff(), DType::F32).on(&autodiff(), DType::F64);
        let found = rounded.clone().on(device, DType::F32).outcome(Form::Kernel);
        found.assert_close(&rounded.outcome(Form::Kernel), CLOSE);
    }
}
