//! What only a kernel can get wrong: foreign memory, threads, single precision, the form that is taken.

use super::case::{Case, KINDS, Kind, Shape, shape};
use burn::tensor::{Device, FloatDType, Tensor};
use seqzoo::ops::linear_attention::{
    Decay, LinearAttentionOptions, LinearAttentionState, linear_attention_report,
};
use seqzoo::ops::{Form, Kernel};
use seqzoo_tests::{Inputs, Outcome, autodiff, plain};

/// The case in `f32`.
fn single(case: &Case) -> Case {
    let narrow = |x: &Tensor<4>| x.clone().cast(FloatDType::F32);
    Case {
        query: narrow(&case.query),
        key: narrow(&case.key),
        value: narrow(&case.value),
        decay: match &case.decay {
            Decay::None => Decay::None,
            Decay::PerHead(log) => Decay::PerHead(log.clone().cast(FloatDType::F32)),
            Decay::Scalar(log) => Decay::Scalar(log.clone().cast(FloatDType::F32)),
            Decay::Vector(log) => Decay::Vector(narrow(log)),
        },
        state: case
            .state
            .as_ref()
            .map(|state| LinearAttentionState { memory: narrow(&state.memory), key_sum: None }),
        output_cotangent: narrow(&case.output_cotangent),
        memory_cotangent: narrow(&case.memory_cotangent),
        ..case.clone()
    }
}

#[test]
fn single_precision_is_as_good_as_its_type() {
    for kind in KINDS {
        let shape = Shape { batch: 1, time: 150, key_heads: 2, heads: 2, key: 64, value: 64 };
        let case = Case::random(kind, &shape, false, 2, &autodiff());
        let wanted = case.clone().outcome(Form::Naive);
        single(&case).outcome(Form::Kernel).assert_close(&wanted, 3e-6);
    }
}

/// The middle of a tensor that is a row larger on every side, and no number there.
fn amid_nan<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let dims = tensor.dims();
    let around =
        Tensor::<D>::full(dims.map(|extent| extent + 2), f64::NAN, (&tensor.device(), tensor.dtype()));
    let middle = dims.map(|extent| 1..extent + 1);
    around.slice_assign(middle.clone(), tensor).slice(middle)
}

#[test]
fn only_what_belongs_to_the_arguments_is_read() {
    for kind in KINDS {
        let mut case = Case::random(kind, &shape(41), false, 3, &autodiff());
        case.resets = Some(Inputs::new(4, &autodiff()).flags([3, 41], 0.1));
        let wanted = case.clone().outcome(Form::Kernel);
        case.query = amid_nan(case.query);
        case.key = amid_nan(case.key);
        case.value = amid_nan(case.value);
        case.decay = match case.decay {
            Decay::None => Decay::None,
            Decay::PerHead(log) => Decay::PerHead(amid_nan(log)),
            Decay::Scalar(log) => Decay::Scalar(amid_nan(log)),
            Decay::Vector(log) => Decay::Vector(amid_nan(log)),
        };
        case.state =
            case.state.map(|state| LinearAttentionState { memory: amid_nan(state.memory), key_sum: None });
        case.output_cotangent = amid_nan(case.output_cotangent);
        case.memory_cotangent = amid_nan(case.memory_cotangent);
        case.outcome(Form::Kernel).assert_close(&wanted, 0.0);
    }
}

#[test]
fn the_number_of_cores_changes_no_bit() {
    // Fewer heads than cores are divided by chunks, more go from core to core.
    for (kind, heads) in KINDS.into_iter().flat_map(|kind| [(kind, 1), (kind, 5)]) {
        let shape = Shape { batch: 1, time: 700, key_heads: heads, heads, key: 40, value: 33 };
        for resets in [false, true] {
            let mut case = Case::random(kind, &shape, false, 5, &autodiff());
            case.resets = resets.then(|| Inputs::new(4, &autodiff()).flags([1, 700], 0.02));
            let with = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| case.clone().outcome(Form::Kernel))
            };
            let one = with(1);
            for threads in [2, 3, 8] {
                with(threads).assert_close(&one, 0.0);
            }
            one.assert_close(&case.clone().outcome(Form::Chunked { size: 64 }), 1e-10);
        }
    }
}

#[test]
fn two_threads_may_call_at_once() {
    let shape = Shape { batch: 2, time: 300, key_heads: 2, heads: 2, key: 32, value: 32 };
    let outcome = |seed: u64| {
        Case::random(KINDS[seed as usize % 4], &shape, false, seed, &autodiff()).outcome(Form::Kernel)
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
    let mut case = Case::random(Kind::Vector, &shape(20), false, 3, &autodiff());
    case.value = case.value.require_grad();
    let (output, state) = case.output(Form::Kernel);
    let gradients = case.loss(output, state).backward();
    assert!(case.value.grad(&gradients).is_some());
    assert!(case.query.grad(&gradients).is_none());
    let (output, _) = Case::random(Kind::Vector, &shape(20), false, 3, &autodiff()).output(Form::Kernel);
    assert!(!output.is_require_grad());
}

#[test]
fn a_report_names_the_kernel_and_its_absence() {
    let options = LinearAttentionOptions::default();
    for device in [plain(), autodiff()] {
        for time in [1, 100] {
            let report = linear_attention_report(time, &options, &device);
            assert_eq!((report.form, report.kernel), (Form::Kernel, Some(Kernel::Cpu)));
            assert_eq!(report.to_string(), "native CPU kernel (the device has it)");
        }
    }
    let chunked = LinearAttentionOptions { form: Form::Chunked { size: 16 }, ..options };
    let report = linear_attention_report(100, &chunked, &Device::flex());
    assert_eq!((report.form, report.kernel), (Form::Chunked { size: 16 }, None));
}
