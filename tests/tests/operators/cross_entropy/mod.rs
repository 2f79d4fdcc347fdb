//! Cross-entropy in blocks: the law against its formula and PyTorch, blocks against the law.

mod arguments;
mod formula;
mod hostile;

use burn::tensor::{Device, Int, Tensor, TensorData};
use seqzoo::ops::Form;
use seqzoo::ops::cross_entropy::{CrossEntropyOptions, Head, Reduction, cross_entropy};
use seqzoo_tests::{Inputs, Outcome, autodiff, plain};

const EXACT: f64 = 1e-12;
const REDUCTIONS: [Reduction; 3] = [Reduction::Mean, Reduction::Sum, Reduction::Each];
/// Blocks of four positions, and the kernel.
const BLOCKS: [Form; 2] = [Form::Chunked { size: 4 }, Form::Kernel];
/// The target of positions that do not count.
const IGNORED: i64 = -100;

#[derive(Clone)]
struct Case {
    hidden: Tensor<2>,
    /// `[D, V]`, or `[V, D]` of an embedding.
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    embedding: bool,
    targets: Tensor<1, Int>,
    cotangent: Tensor<1>,
    options: CrossEntropyOptions,
}

fn targets(numbers: &[i64], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::from(numbers), device)
}

impl Case {
    fn random(shape: [usize; 3], seed: u64, device: &Device) -> Self {
        Self::of(shape, &mut Inputs::new(seed, device), device)
    }

    /// `N`, `D` and `V`; every third position is ignored if the options say so.
    fn of([positions, channels, classes]: [usize; 3], inputs: &mut Inputs, device: &Device) -> Self {
        let numbers: Vec<i64> = (0..positions).map(|i| ((i * 7 + 3) % classes) as i64).collect();
        Self {
            hidden: inputs.between([positions, channels], -2.0, 2.0),
            weight: inputs.uniform([channels, classes]),
            bias: Some(inputs.uniform([classes])),
            embedding: false,
            targets: targets(&numbers, device),
            cotangent: inputs.uniform([positions]),
            options: CrossEntropyOptions::default(),
        }
    }

    /// The same under every option, alone and together, with and without a bias, in both layouts.
    fn variants(&self) -> Vec<Self> {
        let with = |change: fn(&mut CrossEntropyOptions)| {
            let mut case = self.clone();
            change(&mut case.options);
            case
        };
        let mut together = with(|options| {
            options.label_smoothing = 0.2;
            options.z_loss = 0.03;
            options.logit_cap = Some(1.5);
        })
        .ignoring();
        let mut all = vec![
            self.clone(),
            with(|options| options.label_smoothing = 0.1),
            with(|options| options.label_smoothing = 1.0),
            with(|options| options.z_loss = 0.1),
            with(|options| options.logit_cap = Some(2.0)),
            self.clone().ignoring(),
            together.clone(),
        ];
        together.bias = None;
        together.embedding = true;
        together.weight = together.weight.transpose();
        let plain = together.options.clone();
        all.push(together.clone());
        all.push(Self {
            options: CrossEntropyOptions { logit_cap: None, z_loss: 0.0, label_smoothing: 0.0, ..plain },
            ..together
        });
        all
    }

    fn ignoring(self) -> Self {
        let numbers: Vec<i64> = self.targets.to_data().iter::<i64>().collect();
        let some = |(i, target): (usize, i64)| if i % 3 == 1 { IGNORED } else { target };
        let numbers: Vec<i64> = numbers.into_iter().enumerate().map(some).collect();
        Self {
            targets: targets(&numbers, &self.targets.device()),
            options: CrossEntropyOptions { ignore_index: Some(IGNORED), ..self.options.clone() },
            ..self
        }
    }

    fn run(&self, reduction: Reduction, form: Form) -> Tensor<1> {
        let head = if self.embedding {
            Head::embedding(self.weight.clone())
        } else {
            Head::linear(self.weight.clone())
        };
        let options = CrossEntropyOptions { reduction, form, ..self.options.clone() };
        let head = head.with_bias(self.bias.clone());
        cross_entropy(self.hidden.clone(), head, self.targets.clone(), options)
    }

    /// The loss and the gradients of all that has one.
    fn outcome(&self, reduction: Reduction, form: Form) -> Outcome {
        let mut case = self.clone();
        case.hidden = case.hidden.require_grad();
        case.weight = case.weight.require_grad();
        case.bias = case.bias.map(Tensor::require_grad);
        let loss = case.run(reduction, form);
        let mut outcome = Outcome::default();
        outcome.put("loss", &loss);
        let cotangent =
            if reduction == Reduction::Each { case.cotangent.clone() } else { loss.ones_like() * 0.7 };
        let gradients = (loss * cotangent).sum().backward();
        outcome.put_gradient("hidden", &case.hidden, &gradients);
        outcome.put_gradient("weight", &case.weight, &gradients);
        if let Some(bias) = &case.bias {
            outcome.put_gradient("bias", bias, &gradients);
        }
        outcome
    }
}

#[test]
fn blocks_equal_the_law_under_every_option() {
    for (seed, shape) in [[1, 1, 1], [3, 2, 5], [4, 3, 16], [9, 5, 37], [13, 8, 70]].into_iter().enumerate() {
        for case in Case::random(shape, seed as u64, &autodiff()).variants() {
            for reduction in REDUCTIONS {
                let wanted = case.outcome(reduction, Form::Naive);
                for form in BLOCKS {
                    case.outcome(reduction, form).assert_close(&wanted, EXACT);
                }
            }
        }
    }
}

/// 8,192 classes make blocks of 512 positions.
#[test]
fn the_kernel_equals_the_law_over_several_blocks() {
    let case = Case::random([600, 3, 8192], 5, &autodiff()).ignoring();
    for reduction in [Reduction::Mean, Reduction::Each] {
        let wanted = case.outcome(reduction, Form::Naive);
        case.outcome(reduction, Form::Kernel).assert_close(&wanted, 1e-11);
    }
}

#[test]
fn single_precision_is_as_good_as_its_type() {
    for (double, single) in Case::random([21, 16, 301], 6, &autodiff())
        .variants()
        .into_iter()
        .zip(Case::of([21, 16, 301], &mut Inputs::single(6, &autodiff()), &autodiff()).variants())
    {
        for reduction in REDUCTIONS {
            let wanted = double.outcome(reduction, Form::Naive);
            for form in BLOCKS.into_iter().chain([Form::Naive]) {
                single.outcome(reduction, form).assert_close(&wanted, 5e-6);
            }
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    const STEP: f64 = 1e-5;
    for case in Case::random([5, 3, 7], 7, &autodiff()).variants() {
        let outcome = case.outcome(Reduction::Each, Form::Kernel);
        let plain = |tensor: &Tensor<2>| tensor.clone().inner();
        let loss = |hidden: Tensor<2>, weight: Tensor<2>| {
            let cotangent = case.cotangent.clone().inner();
            let case = Case {
                hidden,
                weight,
                bias: case.bias.clone().map(Tensor::inner),
                targets: case.targets.clone().inner(),
                ..case.clone()
            };
            (case.run(Reduction::Each, Form::Kernel) * cotangent).sum().into_scalar::<f64>()
        };
        let [hidden, weight] = [plain(&case.hidden), plain(&case.weight)];
        let moved = |tensor: &Tensor<2>, index: usize, by: f64| {
            let mut data = tensor.to_data();
            data.as_mut_slice::<f64>().unwrap()[index] += by;
            Tensor::from_data(data, (&tensor.device(), tensor.dtype()))
        };
        for (index, found) in outcome.values("d_hidden").iter().enumerate() {
            let at = |by| loss(moved(&hidden, index, by), weight.clone());
            let wanted = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            assert!((found - wanted).abs() < 1e-8, "{found} for {wanted}");
        }
        for (index, found) in outcome.values("d_weight").iter().enumerate() {
            let at = |by| loss(hidden.clone(), moved(&weight, index, by));
            let wanted = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            assert!((found - wanted).abs() < 1e-8, "{found} for {wanted}");
        }
    }
}

#[test]
fn the_number_of_cores_changes_no_bit() {
    let case = Case::of([130, 64, 1001], &mut Inputs::single(8, &autodiff()), &autodiff()).ignoring();
    let on = |threads: usize, reduction| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| case.outcome(reduction, Form::Kernel))
    };
    for reduction in REDUCTIONS {
        on(3, reduction).assert_close(&on(1, reduction), 0.0);
    }
}

#[test]
fn a_call_without_gradients_has_the_same_losses() {
    let case = Case::random([9, 5, 37], 9, &autodiff()).ignoring();
    for (reduction, form) in REDUCTIONS.into_iter().flat_map(|reduction| BLOCKS.map(|form| (reduction, form)))
    {
        let wanted = case.outcome(reduction, form);
        let untracked = case.run(reduction, form);
        assert_eq!(untracked.into_data().iter::<f64>().collect::<Vec<_>>(), wanted.values("loss"));
        let inner = Case {
            hidden: case.hidden.clone().inner(),
            weight: case.weight.clone().inner(),
            bias: case.bias.clone().map(Tensor::inner),
            targets: case.targets.clone().inner(),
            ..case.clone()
        };
        assert_eq!(
            inner.run(reduction, form).into_data().iter::<f64>().collect::<Vec<_>>(),
            wanted.values("loss")
        );
    }
}

#[test]
fn what_is_frozen_gets_no_gradient_and_changes_no_other() {
    for (reduction, form) in REDUCTIONS.into_iter().flat_map(|reduction| BLOCKS.map(|form| (reduction, form)))
    {
        let case = Case::random([9, 5, 37], 10, &autodiff());
        let wanted = case.outcome(reduction, form);
        for trained in ["hidden", "weight", "bias"] {
            let mut case = case.clone();
            match trained {
                "hidden" => case.hidden = case.hidden.require_grad(),
                "weight" => case.weight = case.weight.require_grad(),
                _ => case.bias = case.bias.map(Tensor::require_grad),
            }
            let loss = case.run(reduction, form);
            let cotangent =
                if reduction == Reduction::Each { case.cotangent.clone() } else { loss.ones_like() * 0.7 };
            let gradients = (loss * cotangent).sum().backward();
            let (hidden, weight) = (case.hidden.grad(&gradients), case.weight.grad(&gradients));
            let bias = case.bias.unwrap().grad(&gradients);
            let found = [hidden.is_some(), weight.is_some(), bias.is_some()];
            assert_eq!(found, [trained == "hidden", trained == "weight", trained == "bias"]);
            let numbers = hidden.or(weight).map(Tensor::into_data).or(bias.map(Tensor::into_data)).unwrap();
            let numbers: Vec<f64> = numbers.iter::<f64>().collect();
            assert_eq!(numbers, wanted.values(&format!("d_{trained}")));
        }
    }
}

#[test]
fn the_gradient_reaches_what_made_the_channels() {
    let case = Case::random([6, 4, 9], 11, &autodiff());
    let gradient = |form| {
        let source = case.hidden.clone().require_grad();
        let case = Case { hidden: source.clone().tanh() * 2.0, ..case.clone() };
        source.grad(&case.run(Reduction::Mean, form).backward()).unwrap()
    };
    let gap = (gradient(Form::Kernel) - gradient(Form::Naive)).abs().max().into_scalar::<f64>();
    assert!(gap < EXACT, "{gap}");
}

#[test]
fn auto_takes_the_kernel_and_says_so() {
    let options = CrossEntropyOptions::default();
    let report = seqzoo::ops::cross_entropy::cross_entropy_report(100, 32_000, &options, &plain());
    assert_eq!(report.to_string(), "native CPU kernel (the device has it)");
}
