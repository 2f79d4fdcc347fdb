//! Models whose weights are in half precision: products in it, sums, norms, decays and states in `f32`.

use crate::small::{VOCABULARY, model, patterns};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, FloatDType, Int, Tensor};
use seqzoo::MixerConfig;
use seqzoo::models::LanguageModel;
use seqzoo::ops::cross_entropy::CrossEntropyOptions;
use seqzoo::training::{AdamWConfig, in_precision};
use seqzoo_tests::{largest_error, values};

/// Rounds all parameters to a type, and back to `f32` if they are to have its digits alone.
struct Rounded {
    to: FloatDType,
    back: bool,
}

impl ModuleMapper for Rounded {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = parameter.consume();
        let rounded = tensor.cast(self.to);
        let rounded = if self.back { rounded.cast(FloatDType::F32) } else { rounded };
        Param::from_mapped_value(id, rounded, mapper)
    }
}

/// Against the same weights computed with in `f32`.
#[test]
fn logits_are_those_of_the_wide_model_to_the_digits_of_the_narrow_one() {
    let device = Device::flex();
    for pattern in patterns() {
        let drawn = model(pattern.clone(), &device);
        let tokens: Vec<i32> = (0..2 * 9).map(|i| (i * i + 3 * i) % VOCABULARY as i32).collect();
        let tokens = Tensor::<1, Int>::from_ints(tokens.as_slice(), &device).reshape([2, 9]);
        for (to, digits) in [(FloatDType::BF16, 1.0 / 256.0), (FloatDType::F16, 1.0 / 2048.0)] {
            let run = |back| {
                let model = drawn.clone().map(&mut Rounded { to, back });
                let (logits, state) = model.forward(tokens.clone(), None);
                let (more, _) = model.forward(tokens.clone().narrow(1, 0, 1), Some(state));
                (logits.dtype(), values(logits), values(more))
            };
            let (dtype, found, more) = run(false);
            let (wide, wanted, wanted_more) = run(true);
            assert_eq!((dtype, wide), (DType::from(to), DType::F32));
            let errors = [largest_error(&found, &wanted), largest_error(&more, &wanted_more)];
            assert!(errors.iter().all(|error| *error < 10.0 * digits), "{pattern:?} {to:?} {errors:?}");
        }
    }
}

/// The gradients of all parameters one after the other, in the type of the weights.
struct Collected<'a> {
    gradients: &'a GradientsParams,
    all: Vec<f64>,
}

impl ModuleVisitor for Collected<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
            assert_eq!(gradient.dtype(), DType::F32);
            self.all.extend(values(gradient));
        }
    }
}

/// The mean loss of a model that computes in `dtype`, and the gradients of its weights, the loss multiplied by `factor`.
fn learned(
    model: &LanguageModel,
    tokens: Tensor<2, Int>,
    dtype: FloatDType,
    factor: f32,
) -> (f64, GradientsParams) {
    let narrow = in_precision(model, dtype);
    let (hidden, _) = narrow.hidden(tokens.clone(), None, None);
    assert_eq!(hidden.dtype(), DType::from(dtype));
    let loss = narrow.loss(hidden, tokens, CrossEntropyOptions::default());
    let gradients = loss.clone().mul_scalar(factor).backward();
    (values(loss.inner())[0], GradientsParams::from_grads(gradients, model))
}

fn some_tokens(device: &Device) -> Tensor<2, Int> {
    let tokens: Vec<i32> = (0..2 * 9).map(|i| (i * i + 3 * i) % VOCABULARY as i32).collect();
    Tensor::<1, Int>::from_ints(tokens.as_slice(), device).reshape([2, 9])
}

/// Puts the same numbers on another device, as the beginning of a graph.
struct Leaves<'a>(&'a Device);

impl ModuleMapper for Leaves<'_> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = parameter.consume();
        let leaf = Tensor::from_data(tensor.into_data(), self.0).require_grad();
        Param::from_mapped_value(id, leaf, mapper)
    }
}

/// Roundings of the gradient, of which there are a hundred on the way. Norms of outputs that are nearly 0, as those of heads with few
/// channels may be, make more of them: one of a few models must do.
const LARGEST: f64 = 40.0;

/// Models that are drawn until one does.
const DRAWS: usize = 5;

/// Against the gradients in `f32` at weights that are rounded already.
#[test]
fn gradients_are_those_of_the_wide_model_to_the_digits_of_the_narrow_one() {
    for pattern in patterns() {
        let mut errors = (0..DRAWS).map(|_| gradient_errors(pattern.clone()));
        assert!(errors.any(|errors| errors.into_iter().all(|error| error < LARGEST)), "{pattern:?}");
    }
}

/// How many roundings of `bf16` and of `f16` the gradient of a model is off.
fn gradient_errors(pattern: Vec<MixerConfig>) -> [f64; 2] {
    let device = Device::flex().autodiff();
    let drawn = model(pattern.clone(), &Device::flex());
    [(FloatDType::BF16, 1.0 / 256.0, 1.0), (FloatDType::F16, 1.0 / 2048.0, 1024.0)].map(
        |(to, digits, factor)| {
            let model = drawn.clone().map(&mut Rounded { to, back: true }).map(&mut Leaves(&device));
            let run = |dtype, factor: f32| {
                let (loss, gradients) = learned(&model, some_tokens(&device), dtype, factor);
                let mut collected = Collected { gradients: &gradients, all: Vec::new() };
                model.visit(&mut collected);
                let all: Vec<f64> = collected.all.iter().map(|x| x / f64::from(factor)).collect();
                (loss, all)
            };
            let (loss, found) = run(to, factor);
            let (wanted_loss, wanted) = run(FloatDType::F32, 1.0);
            assert!(!wanted.is_empty() && found.len() == wanted.len());
            assert!(
                (loss / wanted_loss - 1.0).abs() < 4.0 * digits,
                "{pattern:?} {to:?} {loss} {wanted_loss}"
            );
            let length = |numbers: &[f64]| numbers.iter().map(|x| x * x).sum::<f64>().sqrt();
            let gap: Vec<f64> = found.iter().zip(&wanted).map(|(found, wanted)| found - wanted).collect();
            length(&gap) / length(&wanted) / digits
        },
    )
}

/// Steps far smaller than the digits of `bf16` add up in the weights.
#[test]
fn small_steps_add_up() {
    let device = Device::flex().autodiff();
    let pattern = patterns().pop().unwrap();
    let mut model = model(pattern, &device);
    let mut optimizer = AdamWConfig::new().init();
    let tokens = some_tokens(&device);
    let mut losses = Vec::new();
    for _ in 0..60 {
        let (loss, gradients) = learned(&model, tokens.clone(), FloatDType::BF16, 1.0);
        losses.push(loss);
        model = optimizer.step(3e-4, model, gradients);
    }
    assert!(losses[59] < 0.8 * losses[0], "{losses:?}");
}
