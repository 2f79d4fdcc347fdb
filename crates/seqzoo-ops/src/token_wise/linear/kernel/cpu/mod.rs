//! The kernel on Burn's Flex backend: products into memory of their own that nobody has cleared.
//!
//! ```text
//! dx = Σ_i dy_i W_iᵀ        dW_i = xᵀ dy_i        db_i = Σ_rows dy_i
//! ```
#![allow(unsafe_code, reason = "products write through pointers")]

mod few;

use super::{Inputs, LinearBackend, Outputs, Saved};
use crate::kernel::cpu::channels::room::Room;
use crate::kernel::cpu::channels::sums::over_batch;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::large_product::{Matrix, forwards};
use crate::kernel::cpu::tensors::{numbers, tensor};
use crate::kernel::tensors::Tensors;
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::{Bytes, DType, Shape, bf16};

type Four = [Option<FlexTensor>; 4];

impl LinearBackend for Flex {
    fn linear_maps(inputs: Inputs<Self>, (): ()) -> Outputs<Self> {
        let (input, weights, biases) = parts(contiguous(inputs));
        match input.dtype() {
            DType::F64 => forward::<f64>(&input, &weights, &biases),
            DType::BF16 => narrow(&input, &weights, &biases),
            _ => forward::<f32>(&input, &weights, &biases),
        }
    }

    fn linear_maps_forward(inputs: Inputs<Self>, (): ()) -> (Outputs<Self>, Saved<Self>) {
        let inputs = contiguous(inputs);
        (Self::linear_maps(inputs.clone(), ()), inputs)
    }

    fn linear_maps_vjp(saved: Saved<Self>, upstream: Outputs<Self>, (): ()) -> Inputs<Self> {
        let (input, weights, biases) = parts(saved);
        let upstream = upstream.into_array().map(|tensor| tensor.map(|tensor| tensor.to_contiguous()));
        match input.dtype() {
            DType::F64 => backward::<f64>(&input, &weights, &biases, &upstream),
            _ => backward::<f32>(&input, &weights, &biases, &upstream),
        }
    }
}

/// Weights stay as they lie: transposed, as those of tied heads do, or parts of a larger one.
fn contiguous(inputs: Inputs<Flex>) -> Inputs<Flex> {
    let [input, weights @ .., b0, b1, b2, b3] = inputs.into_array();
    let [input, b0, b1, b2, b3] =
        [input, b0, b1, b2, b3].map(|tensor| tensor.map(|tensor| tensor.to_contiguous()));
    let [w0, w1, w2, w3] = weights.map(|weight| weight.map(forwards));
    Inputs::from_array([input, w0, w1, w2, w3, b0, b1, b2, b3])
}

fn parts(inputs: Inputs<Flex>) -> (FlexTensor, Four, Four) {
    let [input, w0, w1, w2, w3, b0, b1, b2, b3] = inputs.into_array();
    (input.expect("there is an input"), [w0, w1, w2, w3], [b0, b1, b2, b3])
}

fn forward<E: Real + Element + few::Stored<E>>(
    input: &FlexTensor,
    weights: &Four,
    biases: &Four,
) -> Outputs<Flex> {
    let x = Matrix::<E>::of(input);
    let output = |index: usize| {
        let weight = Matrix::<E>::of(weights[index].as_ref()?);
        if x.rows <= few::ROWS && few::lies_in_order(&weight) {
            let bias = biases[index].as_ref().map(numbers);
            let product = few::product(numbers::<E>(input), weight, bias);
            return Some(tensor(product, Shape::new([x.rows, weight.columns])));
        }
        let mut room = Room::<E>::new([x.rows, weight.columns]);
        if let Some(bias) = &biases[index] {
            let (bias, output) = (numbers::<E>(bias), room.output());
            for row in 0..x.rows {
                // SAFETY: this is the only thread.
                unsafe { output.write(row * bias.len(), bias) };
            }
        }
        // SAFETY: what is added to is the bias in all rows; after the product all is written.
        unsafe {
            x.times(weight, &mut room, biases[index].is_some());
            Some(room.filled())
        }
    };
    Outputs::from_array([0, 1, 2, 3].map(output))
}

/// A few rows in `bf16`, with sums in `f32`.
fn narrow(input: &FlexTensor, weights: &Four, biases: &Four) -> Outputs<Flex> {
    let widened = |tensor: &FlexTensor| -> Vec<f32> {
        tensor.as_slice::<bf16>().expect("one dtype").iter().map(|number| number.to_f32()).collect()
    };
    let x = widened(input);
    let [rows, _] = input.shape().dims();
    let output = |index: usize| {
        let weight = weights[index].clone()?;
        let weight =
            if few::lies_in_order(&Matrix::<bf16>::of(&weight)) { weight } else { weight.to_contiguous() };
        let weight = Matrix::<bf16>::of(&weight);
        let bias = biases[index].as_ref().map(widened);
        let product: Vec<f32> = few::product(&x, weight, bias.as_deref());
        let product: Vec<bf16> = product.into_iter().map(bf16::from_f32).collect();
        let shape = Shape::new([rows, weight.columns]);
        Some(FlexTensor::new(Bytes::from_elems(product), Layout::contiguous(shape), DType::BF16))
    };
    Outputs::from_array([0, 1, 2, 3].map(output))
}

fn backward<E: Real + Element>(
    input: &FlexTensor,
    weights: &Four,
    biases: &Four,
    upstream: &Four,
) -> Inputs<Flex> {
    let x = Matrix::<E>::of(input);
    let mut d_input = Room::<E>::new(input.shape());
    let mut d_weights = [const { None }; 4];
    let mut d_biases = [const { None }; 4];
    let mut added = false;
    for index in 0..4 {
        let (Some(weight), Some(upstream)) = (&weights[index], &upstream[index]) else { continue };
        let above = Matrix::<E>::of(upstream);
        let mut d_weight = Room::<E>::new(weight.shape());
        // SAFETY: the first product fills the gradient of the input, the others are added to it; one fills that of the weight.
        unsafe {
            above.times(Matrix::of(weight).transposed(), &mut d_input, added);
            x.transposed().times(above, &mut d_weight, false);
            d_weights[index] = Some(d_weight.filled());
        }
        added = true;
        d_biases[index] = biases[index].as_ref().map(|_| over_rows::<E>(upstream));
    }
    let [w0, w1, w2, w3] = d_weights;
    let [b0, b1, b2, b3] = d_biases;
    // SAFETY: there is a map, and its product filled it.
    let d_input = unsafe { d_input.filled() };
    Inputs::from_array([Some(d_input), w0, w1, w2, w3, b0, b1, b2, b3])
}

/// The sum over rows.
fn over_rows<E: Real + Element>(tensor: &FlexTensor) -> FlexTensor {
    let [_, columns] = tensor.shape().dims();
    over_batch::<E>(tensor, [columns])
}
