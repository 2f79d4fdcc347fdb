//! What only a kernel can get wrong: foreign memory, threads, single precision, the form that is taken.

use super::case::{Case, KINDS, Shape, shape};
use burn::tensor::{FloatDType, Tensor};
use seqzoo::ops::delta_rule::{DeltaRuleOptions, delta_rule_report};
use seqzoo::ops::{Form, Kernel};
use seqzoo_tests::{Inputs, Outcome, autodiff, plain};

#[test]
fn single_precision_is_as_good_as_its_type() {
    for kind in KINDS {
        let shape = Shape { batch: 1, time: 150, key_heads: 2, heads: 2, key: 64, value: 64 };
        let case = Case::random(kind, &shape, 2, &autodiff()).cast(FloatDType::F32);
        let wanted = case.clone().cast(FloatDType::F64).outcome(Form::Naive);
        case.outcome(Form::Kernel).assert_close(&wanted, 1e-5);
    }
}

/// The middle of a tensor that is a row larger on every side, and no number there.
fn amid_nan(tensor: Tensor<4>) -> Tensor<4> {
    let dims = tensor.dims();
    let around =
        Tensor::<4>::full(dims.map(|extent| extent + 2), f64::NAN, (&tensor.device(), tensor.dtype()));
    let middle = dims.map(|extent| 1..extent + 1);
    around.slice_assign(middle.clone(), tensor).slice(middle)
}

#[test]
fn only_what_belongs_to_the_arguments_is_read() {
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(41), 3, &autodiff());
        case.resets = Some(Inputs::new(4, &autodiff()).flags([3, 41], 0.1));
        let wanted = case.clone().outcome(Form::Kernel);
        case.map(amid_nan).outcome(Form::Kernel).assert_close(&wanted, 0.0);
    }
}

#[test]
fn the_number_of_cores_changes_no_bit() {
    // Fewer heads than cores are divided by chunks, more go from core to core.
    for (kind, heads) in KINDS.into_iter().flat_map(|kind| [(kind, 1), (kind, 5)]) {
        let shape = Shape { batch: 1, time: 700, key_heads: heads, heads, key: 40, value: 33 };
        for resets in [false, true] {
            let mut case = Case::random(kind, &shape, 5, &autodiff());
            case.resets = resets.then(|| Inputs::new(4, &autodiff()).flags([1, 700], 0.02));
            let with = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| case.clone().outcome(Form::Kernel))
            };
            let one = with(1);
            for threads in [2, 3, 8] {
                with(threads).assert_close(&one, 0.0);
            }
            one.assert_close(&case.clone().outcome(Form::Chunked { size: 64 }), 1e-9);
        }
    }
}

#[test]
fn two_threads_may_call_at_once() {
    let shape = Shape { batch: 2, time: 300, key_heads: 2, heads: 2, key: 32, value: 32 };
    let outcome = |seed: u64| {
        Case::random(KINDS[seed as usize % KINDS.len()], &shape, seed, &autodiff()).outcome(Form::Kernel)
    };
    let alone: Vec<Outcome> = (0..8).map(outcome).collect();
    let together: Vec<Outcome> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|seed| scope.spawn(move || outcome(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (found, wanted) in together.iter().zip(&alone) {
        found.assert_close(wanted, 0.0);
    }
}

#[test]
fn what_needs_no_gradient_gets_none() {
    let mut case = Case::random(KINDS[4], &shape(20), 3, &autodiff());
    case.value = case.value.require_grad();
    let (output, memory) = case.output(Form::Kernel);
    let gradients = case.loss(output, memory).backward();
    assert!(case.value.grad(&gradients).is_some());
    assert!(case.query.grad(&gradients).is_none());
    let (output, _) = Case::random(KINDS[4], &shape(20), 3, &autodiff()).output(Form::Kernel);
    assert!(!output.is_require_grad());
}

#[test]
fn a_report_names_the_kernel_and_its_absence() {
    let options = DeltaRuleOptions::default();
    for device in [plain(), autodiff()] {
        for time in [1, 100] {
            let report = delta_rule_report(time, &options, &device);
            assert_eq!((report.form, report.kernel), (Form::Kernel, Some(Kernel::Cpu)));
        }
    }
    let chunked = DeltaRuleOptions { form: Form::Chunked { size: 16 }, ..options };
    let report = delta_rule_report(100, &chunked, &plain());
    assert_eq!((report.form, report.kernel), (Form::Chunked { size: 16 }, None));
}
