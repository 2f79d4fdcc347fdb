//! Models whose weights are in half precision: products in it, sums, norms, decays and states in `f32`.

use crate::small::{VOCABULARY, model, patterns};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor};
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
