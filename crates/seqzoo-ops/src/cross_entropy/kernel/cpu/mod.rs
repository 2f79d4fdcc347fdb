//! What is between the products on Burn's Flex backend: vectorised native code on all cores.

mod losses;

use super::blocks::{self, Steps};
use super::plain::Plain;
use super::{CrossEntropyBackend, Inputs, Outputs, Saved, Settings};
use crate::cross_entropy::problem::Rule;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::large_product::{Matrix, forwards};
use crate::kernel::cpu::tensors::{numbers, tensor};
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::{DType, Shape};
use losses::Losses;
use pulp::Arch;
use rayon::prelude::*;

impl CrossEntropyBackend for Flex {
    fn cross_entropy(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        match settings.native {
            true => blocks::outputs::<Self, Native>(inputs, &settings),
            false => blocks::outputs::<Self, Plain>(inputs, &settings),
        }
    }

    fn cross_entropy_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        match settings.native {
            true => blocks::forward::<Self, Native>(inputs, &settings),
            false => blocks::forward::<Self, Plain>(inputs, &settings),
        }
    }

    fn cross_entropy_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        match settings.native {
            true => blocks::vjp::<Self, Native>(saved, upstream, &settings),
            false => blocks::vjp::<Self, Plain>(saved, upstream, &settings),
        }
    }
}

/// Native code, which writes the gradient of the logits where they were.
struct Native;

/// The element type of a tensor, `f32` or `f64`, for one call.
macro_rules! by_type {
    ($tensor:expr, $function:ident($($argument:expr),*)) => {
        match $tensor.dtype() {
            DType::F64 => $function::<f64>($($argument),*),
            _ => $function::<f32>($($argument),*),
        }
    };
}

impl Steps<Flex> for Native {
    fn losses(
        logits: FlexTensor,
        bias: Option<&FlexTensor>,
        classes: FlexTensor,
        factors: Option<FlexTensor>,
        rule: &Rule,
    ) -> (FlexTensor, Option<FlexTensor>) {
        by_type!(logits, losses(logits, bias, classes, factors, rule))
    }

    fn product(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        let [a, b] = [a, b].map(forwards);
        by_type!(a, product(&a, &b))
    }

    fn add_product(sum: FlexTensor, a: FlexTensor, b: FlexTensor) -> FlexTensor {
        let [a, b] = [a, b].map(forwards);
        by_type!(sum, add_product(sum, &a, &b))
    }

    fn add(sum: FlexTensor, part: FlexTensor) -> FlexTensor {
        by_type!(sum, add(sum, part))
    }

    fn scale(tensor: FlexTensor, factor: &FlexTensor) -> FlexTensor {
        by_type!(tensor, scale(tensor, factor))
    }
}

fn losses<E: Real + Element>(
    logits: FlexTensor,
    bias: Option<&FlexTensor>,
    classes: FlexTensor,
    factors: Option<FlexTensor>,
    rule: &Rule,
) -> (FlexTensor, Option<FlexTensor>) {
    let [rows, _] = logits.shape().dims();
    let mut logits = in_order(logits);
    let [bias, classes, factors] = [bias.cloned(), Some(classes), factors]
        .map(|tensor| tensor.map(|tensor: FlexTensor| tensor.to_contiguous()));
    let mut losses = vec![E::default(); rows];
    Arch::new().dispatch(Losses {
        logits: logits.storage_mut(),
        losses: &mut losses,
        bias: bias.as_ref().map(numbers),
        classes: numbers(classes.as_ref().expect("there are classes")),
        factors: factors.as_ref().map(numbers),
        rule,
    });
    (tensor(losses, Shape::new([rows])), factors.map(|_| logits))
}

fn product<E: Real + Element>(a: &FlexTensor, b: &FlexTensor) -> FlexTensor {
    Matrix::<E>::of(a).product(Matrix::of(b))
}

fn add_product<E: Real + Element>(sum: FlexTensor, a: &FlexTensor, b: &FlexTensor) -> FlexTensor {
    Matrix::<E>::of(a).added_to(sum, Matrix::of(b))
}

/// A tensor whose numbers are in order from the beginning of its memory: the same if they are. `to_contiguous` would leave a
/// second owner, and to write to what two own is to copy it.
fn in_order(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() && tensor.layout().start_offset() == 0 {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// Numbers that a thread takes at once.
const AT_ONCE: usize = 1 << 14;

fn add<E: Real + Element>(sum: FlexTensor, part: FlexTensor) -> FlexTensor {
    let (mut sum, part) = (in_order(sum), in_order(part));
    let both = sum.storage_mut::<E>().par_chunks_mut(AT_ONCE).zip(numbers::<E>(&part).par_chunks(AT_ONCE));
    both.for_each(|(sum, part)| sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += *part));
    sum
}

fn scale<E: Real + Element>(tensor: FlexTensor, factor: &FlexTensor) -> FlexTensor {
    let factor = numbers::<E>(&factor.to_contiguous())[0];
    // As it is where the loss is what is differentiated.
    if factor == E::ONE {
        return tensor;
    }
    let mut tensor = in_order(tensor);
    let parts = tensor.storage_mut::<E>().par_chunks_mut(AT_ONCE);
    parts.for_each(|part| part.iter_mut().for_each(|number| *number *= factor));
    tensor
}
