//! What only a kernel can get wrong: foreign memory, threads, single precision, the form that is taken.

use super::change::AmidNan;
use super::{Case, Change, MemoryOperator, Operator};
use crate::operators::{Fading, Shape, shape};
use crate::{Outcome, autodiff, plain};
use burn::tensor::{FloatDType, Gradients, Tensor};
use seqzoo::ops::{Form, Kernel};

pub fn single_precision_is_as_good_as_its_type<O: MemoryOperator>() {
    for kind in O::PLAIN {
        let shape = Shape { batch: 1, time: 150, key_heads: 2, heads: 2, key: 64, value: 64 };
        let case = Case::<O>::random(*kind, &shape, 2, &autodiff());
        let wanted = case.clone().outcome(Form::Naive);
        case.cast(FloatDType::F32).outcome(Form::Kernel).assert_close(&wanted, O::TOLERANCE.single);
    }
}

pub fn only_what_belongs_to_the_arguments_is_read<O: Operator>() {
    for kind in O::KINDS {
        let case = Case::<O>::random(*kind, &O::shape(41), 3, &autodiff()).with_resets(4, 0.1);
        let wanted = case.clone().outcome(Form::Kernel);
        case.map(&mut AmidNan).outcome(Form::Kernel).assert_close(&wanted, 0.0);
    }
}

pub fn the_number_of_cores_changes_no_bit<O: MemoryOperator>() {
    // Fewer heads than cores are divided by chunks, more go from core to core.
    for (kind, heads) in O::KINDS.iter().flat_map(|kind| [(*kind, 1), (*kind, 5)]) {
        let shape = Shape { batch: 1, time: 700, key_heads: heads, heads, key: 40, value: 33 };
        for resets in [false, true] {
            let mut case = Case::<O>::random(kind, &shape, 5, &autodiff());
            if resets {
                case = case.with_resets(4, 0.02);
            }
            let with = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                pool.expect("threads start").install(|| case.clone().outcome(Form::Kernel))
            };
            let one = with(1);
            for threads in [2, 3, 8] {
                with(threads).assert_close(&one, 0.0);
            }
            one.assert_close(&case.clone().outcome(Form::Chunked { size: 64 }), O::TOLERANCE.exact);
        }
    }
}

pub fn two_threads_may_call_at_once<O: MemoryOperator>() {
    let shape = Shape { batch: 2, time: 300, key_heads: 2, heads: 2, key: 32, value: 32 };
    let outcome = |seed: usize| {
        let kind = O::KINDS[seed % O::KINDS.len()];
        Case::<O>::random(kind, &shape, seed as u64, &autodiff()).outcome(Form::Kernel)
    };
    let alone: Vec<Outcome> = (0..8).map(outcome).collect();
    let together: Vec<Outcome> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|seed| scope.spawn(move || outcome(seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    for (found, wanted) in together.iter().zip(&alone) {
        found.assert_close(wanted, 0.0);
    }
}

pub fn what_needs_no_gradient_gets_none<O: MemoryOperator>() {
    let random = || Case::<O>::random(O::kind(Fading::Vector, false), &shape(20), 3, &autodiff());
    let (output, _) = random().run(Form::Kernel);
    assert!(!output.is_require_grad());

    let mut case = random();
    case.inputs = case.inputs.map(&mut TrackOnly("v"));
    let (output, state) = case.run(Form::Kernel);
    let mut gradients = HasGradient { gradients: case.loss(output, state).backward(), names: Vec::new() };
    case.map_inputs(&mut gradients);
    assert_eq!(gradients.names, ["v"]);
}

/// One tensor as a leaf whose gradient is recorded.
pub(super) struct TrackOnly(pub &'static str);

impl Change for TrackOnly {
    fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
        if name == self.0 { tensor.require_grad() } else { tensor }
    }
}

/// Collects the names of the tensors that have a gradient.
pub(super) struct HasGradient {
    pub gradients: Gradients,
    pub names: Vec<String>,
}

impl Change for HasGradient {
    fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
        self.names.extend(tensor.grad(&self.gradients).map(|_| name.to_string()));
        tensor
    }
}

pub fn a_report_names_the_kernel_and_its_absence<O: Operator>() {
    for device in [plain(), autodiff()] {
        for time in [1, 100] {
            let report = O::report(time, Form::Auto, &device);
            assert_eq!((report.form, report.kernel), (Form::Kernel, Some(Kernel::Cpu)));
            assert_eq!(report.to_string(), "native CPU kernel (the device has it)");
        }
    }
    let chunked = Form::Chunked { size: 16 };
    let report = O::report(100, chunked, &plain());
    assert_eq!((report.form, report.kernel), (chunked, None));
}
