//! The kernel on Burn's Flex backend: the matrix goes by once, some of its rows at a time.
#![allow(unsafe_code, reason = "tasks fill a tensor in parallel")]

use super::{FewRowsBackend, Inputs, Outputs};
use crate::kernel::cpu::channels::room::Room;
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::cpu::vectorized::vectorized;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use pulp::{Arch, Simd, WithSimd};

/// Columns of a task: their sums stay in the nearest cache.
const COLUMNS: usize = 512;

/// Rows of the matrix that are added at once, so that sums are read and written seldom.
const ROWS: usize = 8;

/// Multiply-adds that take as long as moving one number of a state.
const PER_STEP: usize = 32;

impl FewRowsBackend for Flex {
    fn few_rows(inputs: Inputs<Self>) -> Outputs<Self> {
        let Inputs { input, weight, bias } = inputs;
        let input = input.to_contiguous();
        let bias = bias.into_option().map(|bias| bias.to_contiguous());
        if !weight.layout().is_contiguous() {
            // Its columns lie together, and a product of Burn takes it as it is.
            let product = Flex::float_matmul(input, weight);
            let output = match bias {
                Some(bias) => {
                    let [width] = bias.shape().dims();
                    Flex::float_add(product, Flex::float_reshape(bias, [1, width].into()))
                }
                None => product,
            };
            return Outputs { output };
        }
        let output = match input.dtype() {
            DType::F64 => run::<f64>(&input, &weight, bias.as_ref()),
            _ => run::<f32>(&input, &weight, bias.as_ref()),
        };
        Outputs { output }
    }
}

fn run<E: Real + Element>(input: &FlexTensor, weight: &FlexTensor, bias: Option<&FlexTensor>) -> FlexTensor {
    let ([rows, _], [channels, width]) = (input.shape().dims(), weight.shape().dims());
    let mut output = Room::<E>::new([rows, width]);
    Arch::new().dispatch(Product {
        rows,
        channels,
        width,
        input: numbers(input),
        weight: numbers(weight),
        bias: bias.map(numbers),
        output: output.output(),
    });
    // SAFETY: the product fills all columns of all rows.
    unsafe { output.filled() }
}

struct Product<'a, E> {
    rows: usize,
    channels: usize,
    width: usize,
    input: &'a [E],
    weight: &'a [E],
    bias: Option<&'a [E]>,
    output: Output<'a, E>,
}

impl<E: Real> WithSimd for Product<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let blocks = self.width.div_ceil(COLUMNS);
        let steps = self.rows * self.channels * self.width / PER_STEP;
        each(
            self.rows * blocks,
            steps,
            || vec![E::default(); COLUMNS],
            |sums, task| {
                let (row, first) = (task / blocks, task % blocks * COLUMNS);
                let sums = &mut sums[..COLUMNS.min(self.width - first)];
                vectorized(simd, Block { product: &self, row, first, sums });
            },
        );
    }
}

/// Some columns of one row of the output.
struct Block<'a, 'b, E> {
    product: &'a Product<'b, E>,
    row: usize,
    first: usize,
    sums: &'a mut [E],
}

impl<E: Real> WithSimd for Block<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { product: Product { channels, width, input, weight, bias, output, .. }, row, first, sums } =
            self;
        match bias {
            Some(bias) => sums.copy_from_slice(&bias[first..first + sums.len()]),
            None => sums.fill(E::default()),
        }
        let (factors, left) = input[row * channels..(row + 1) * channels].as_chunks::<ROWS>();
        let length = sums.len();
        let row_of = |channel: usize| &weight[channel * width + first..][..length];
        for (index, factors) in factors.iter().enumerate() {
            let rows: [&[E]; ROWS] = std::array::from_fn(|offset| row_of(index * ROWS + offset));
            add::<S, E, ROWS>(simd, *factors, rows, sums);
        }
        for (offset, factor) in left.iter().enumerate() {
            add::<S, E, 1>(simd, [*factor], [row_of(channels - left.len() + offset)], sums);
        }
        // SAFETY: these columns of this row are this task's alone.
        unsafe { output.write(row * width + first, sums) };
    }
}

/// Adds multiples of rows to `sums`, which are as long.
#[inline(always)]
fn add<S: Simd, E: Real, const R: usize>(simd: S, factors: [E; R], rows: [&[E]; R], sums: &mut [E]) {
    let whole = sums.len() / lanes::<S, E>() * lanes::<S, E>();
    let vectors = rows.map(E::vectors::<S>);
    let splats = factors.map(|factor| E::splat(simd, factor));
    for (index, sum) in E::vectors_mut::<S>(sums).iter_mut().enumerate() {
        for (factor, row) in splats.iter().zip(&vectors) {
            *sum = E::mul_add(simd, *factor, row[index], *sum);
        }
    }
    for (column, sum) in sums.iter_mut().enumerate().skip(whole) {
        for (factor, row) in factors.iter().zip(&rows) {
            *sum += *factor * row[column];
        }
    }
}
