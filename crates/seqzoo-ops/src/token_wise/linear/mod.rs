//! One input through several matrices.

mod kernel;

use super::runs_kernel;
use crate::checks;
use crate::form::Form;
use burn::tensor::{DType, Tensor};

/// A matrix `[D, F]` and the bias `[F]` after it, if any.
#[derive(Clone, Debug)]
pub struct Map {
    /// `W`, `[D, F]`.
    pub weight: Tensor<2>,
    /// `b`, `[F]`.
    pub bias: Option<Tensor<1>>,
}

/// One input through `N` linear maps: `y_i = x W_i + b_i`.
///
/// All tokens are the rows of one product, and the gradients of the input add up in the products of the backward pass. In the
/// dtype of the input.
///
/// # Shapes
///
/// `x` is `[.., D]`, `W_i` is `[D, F_i]`, `b_i` is `[F_i]`, and `y_i` is `[.., F_i]`. There may be no rows.
///
/// # Panics
///
/// If the channels differ, or a form is asked for that there is not: this operator has `Parallel` and `Kernel`.
#[track_caller]
pub fn linear<const D: usize, const N: usize>(
    input: Tensor<D>,
    maps: [Map; N],
    form: Form,
) -> [Tensor<D>; N] {
    let channels = input.dims()[D - 1];
    for Map { weight, bias } in &maps {
        let [from, to] = weight.dims();
        checks::channels("input", channels, from);
        if let Some(bias) = bias {
            checks::shape("bias", &bias.dims(), &[("F", to)]);
        }
    }
    let rows = input.dims()[..D - 1].iter().product::<usize>();
    let widths = maps.each_ref().map(|map| map.weight.dims()[1]);
    let smallest = widths.into_iter().min().unwrap_or(0) * rows * channels;
    let narrow = !matches!(input.dtype(), DType::F32 | DType::F64);
    let shape = |width| {
        let mut shape = input.dims();
        shape[D - 1] = width;
        shape
    };
    let shapes = widths.map(shape);
    // In half precision the kernel is for streaming, and has no backward.
    let streams = rows <= 4 && input.dtype() == DType::BF16 && !input.device().is_autodiff();
    let kernel = runs_kernel(form, &input.device(), smallest) && (!narrow || streams);
    let flat = input.reshape([rows, channels]);
    let outputs = match kernel {
        true => kernel::run(flat, maps),
        false => maps.map(|map| law(flat.clone(), map)),
    };
    let mut shapes = shapes.into_iter();
    outputs.map(|output| output.reshape(shapes.next().expect("there is a shape per output")))
}

/// The product in tensor operations.
fn law(input: Tensor<2>, Map { weight, bias }: Map) -> Tensor<2> {
    let [rows, channels] = input.dims();
    let width = weight.dims()[1];
    let product = match rows * channels * width {
        // Burn's Flex backend would read outside of an empty matrix.
        0 => {
            let zeros = Tensor::zeros([rows, width], (&input.device(), input.dtype()));
            input.sum_dim(1) + zeros
        }
        _ => input.matmul(weight),
    };
    match bias {
        Some(bias) => product + bias.unsqueeze(),
        None => product,
    }
}
