//! Large products, on all cores, of the `gemm` crate, which is Burn's own: into memory that nobody has cleared, or on top of what
//! is there.
#![allow(unsafe_code, reason = "products write through pointers")]

use crate::kernel::cpu::channels::room::Room;
use crate::kernel::cpu::lanes::Real;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, TensorMetadata};
use bytemuck::Pod;
use gemm::{Parallelism, gemm};

/// Multiply-adds below which the threads are not worth waking.
const FEW: usize = 1 << 20;

/// The tensor, turned round where it lies backwards.
pub(crate) fn forwards(tensor: FlexTensor) -> FlexTensor {
    let backwards = tensor.layout().strides().iter().any(|stride| *stride < 0);
    if backwards { tensor.to_contiguous() } else { tensor }
}

/// A matrix, however it lies, as long as it lies [`forwards`].
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, E> {
    /// From the first element on.
    pub numbers: &'a [E],
    pub rows: usize,
    pub columns: usize,
    /// From row to row, and from column to column.
    pub strides: [usize; 2],
}

impl<'a, E: Element + Pod> Matrix<'a, E> {
    pub fn of(tensor: &'a FlexTensor) -> Self {
        let [rows, columns] = tensor.shape().dims();
        let layout = tensor.layout();
        let [row, column] = [0, 1].map(|axis| {
            usize::try_from(layout.strides()[axis]).expect("what lay backwards was turned round")
        });
        let numbers = &tensor.storage::<E>()[layout.start_offset()..];
        Self { numbers, rows, columns, strides: [row, column] }
    }

    /// The elements from the first to the last.
    fn extent(&self) -> usize {
        let [row, column] = self.strides;
        (self.rows - 1) * row + (self.columns - 1) * column + 1
    }

    pub fn transposed(self) -> Self {
        let [row, column] = self.strides;
        Self { rows: self.columns, columns: self.rows, strides: [column, row], ..self }
    }
}

impl<E: Real + Element> Matrix<'_, E> {
    /// Puts the product with `other` into `to`, or adds it to what has been put there.
    ///
    /// # Safety
    ///
    /// Where it is added, all of `to` must have been written.
    pub unsafe fn times(self, other: Self, to: &mut Room<E>, add: bool) {
        let place = to.output().place(0, self.rows * other.columns);
        // SAFETY: the room has place for the product, and was written where it is read, as the caller promises.
        unsafe { self.into(other, place, add) };
    }

    /// The product with `other`.
    pub fn product(self, other: Self) -> FlexTensor {
        let mut room = Room::<E>::new([self.rows, other.columns]);
        // SAFETY: the product fills the room.
        unsafe {
            self.times(other, &mut room, false);
            room.filled()
        }
    }

    /// `sum`, which has its memory for itself or gets its own, and the product with `other`.
    pub fn added_to(self, mut sum: FlexTensor, other: Self) -> FlexTensor {
        if !(sum.is_contiguous() && sum.layout().start_offset() == 0) {
            sum = sum.to_contiguous();
        }
        let numbers = sum.storage_mut::<E>();
        assert!(numbers.len() >= self.rows * other.columns);
        // SAFETY: there is place for the product, and all of it is written.
        unsafe { self.into(other, numbers.as_mut_ptr(), true) };
        sum
    }

    /// Puts the product with `other` at `place`, in rows, or adds it to what is there.
    ///
    /// # Safety
    ///
    /// There must be place for it, which nobody else uses, and it must have been written where the product is added.
    unsafe fn into(self, other: Self, place: *mut E, add: bool) {
        let (rows, inner, columns) = (self.rows, self.columns, other.columns);
        assert!(rows > 0 && inner > 0 && columns > 0 && other.rows == inner);
        assert!(self.extent() <= self.numbers.len() && other.extent() <= other.numbers.len());
        let many = rows * inner * columns >= FEW;
        let parallelism = if many { Parallelism::Rayon(0) } else { Parallelism::None };
        let [row, column] = self.strides.map(|stride| stride as isize);
        let [other_row, other_column] = other.strides.map(|stride| stride as isize);
        let beta = E::ONE;
        let alpha = if add { E::ONE } else { E::default() };
        // SAFETY: there is place for the product, and the matrices end inside their numbers, as was checked; what is read
        // of the place has been written, as the caller promises.
        unsafe {
            gemm(
                rows,
                columns,
                inner,
                place,
                1,
                columns as isize,
                add,
                self.numbers.as_ptr(),
                column,
                row,
                other.numbers.as_ptr(),
                other_column,
                other_row,
                alpha,
                beta,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}
