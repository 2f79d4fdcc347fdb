//! The gradients.

use super::Tile;
use super::correlation::correlate;
use super::plan::{Extents, Group, Method, Plan};
use super::rows::{Rows, Sequence};
use super::transform::{Spectra, Spectral, Transform, add_product, multiply_conjugate};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use pulp::Simd;
use std::ops::Range;

pub(super) struct Backward<'a, E> {
    pub extents: Extents,
    pub plan: &'a Plan,
    pub entries: &'a [E],         // [b, n, d]
    pub filter: &'a [E],          // [d, l]
    pub upstream: &'a [E],        // [b, t, d]
    pub d_entries: Output<'a, E>, // [b, n, d]
    pub d_filter: Output<'a, E>,  // [d, l]
}

/// The gradients of a tile.
struct Sums<E> {
    entries: Vec<Rows<E>>, // of each sequence
    filter: Rows<E>,
}

impl<E: Spectral> Sums<E> {
    /// Adds the gradients of the inputs of a piece.
    #[inline(always)]
    fn add_entries(&mut self, row: usize, channel: usize, first: usize, gradients: &[E]) {
        let sums = &mut self.entries[row].row_mut(channel)[first..][..gradients.len()];
        sums.iter_mut().zip(gradients).for_each(|(sum, gradient)| *sum += *gradient);
    }
}

impl<E: Spectral> Tile for Backward<'_, E> {
    #[inline(always)]
    fn tile<S: Simd>(&self, simd: S, channels: Range<usize>) {
        let Extents { batch, entries, taps, channels: stride, .. } = self.extents;
        let width = channels.len();
        let mut sums = Sums {
            entries: (0..batch).map(|_| Rows::new(width, entries)).collect(),
            filter: Rows::new(width, taps),
        };
        for group in &self.plan.groups {
            match group.method {
                Method::Sum => self.sums(simd, group, channels.clone(), &mut sums),
                Method::Transform(length) => {
                    self.transforms(simd, group, length, channels.clone(), &mut sums);
                }
            }
        }
        let tile = Sequence { numbers: self.entries, stride, channels: channels.clone() };
        // SAFETY: the tile is this task's alone.
        unsafe {
            for (row, sums) in sums.entries.iter().enumerate() {
                sums.store(simd, self.d_entries, row * entries, &tile, 0..entries);
            }
            self.d_filter.write(channels.start * taps, sums.filter.all());
        }
    }
}

impl<E: Spectral> Backward<'_, E> {
    #[inline(always)]
    fn sums<S: Simd>(&self, simd: S, group: &Group, channels: Range<usize>, sums: &mut Sums<E>) {
        let (width, taps) = (channels.len(), group.taps);
        let entries =
            Sequence { numbers: self.entries, stride: self.extents.channels, channels: channels.clone() };
        let upstream = Sequence { numbers: self.upstream, ..entries.clone() };
        let mut windows = Rows::new(width, group.longest_window());
        // The gradients of the outputs between zeros, so that every input meets every tap.
        let mut between = Rows::new(width, group.longest_window() + taps - 1);
        let mut gradients = vec![E::default(); group.longest_window()];
        let mut newest_last = vec![E::default(); taps];
        for piece in &group.pieces {
            let (window, outputs) = (group.window(piece), piece.outputs());
            windows.load_at_end(simd, &entries, self.extents.entry(piece), piece.inputs(), window);
            between.load_at_end(simd, &upstream, self.extents.output(piece), outputs, window);
            between.clear(window..window + taps - 1);
            for (index, channel) in channels.clone().enumerate() {
                let filter = &self.filter[channel * self.extents.taps..][..taps];
                let between = &between.row(index)[..window + taps - 1];
                let gradients = &mut gradients[..window];
                gradients.fill(E::default());
                correlate(simd, filter, between, gradients);
                sums.add_entries(piece.row, index, piece.first, &gradients[window - piece.inputs()..]);

                newest_last.fill(E::default());
                let upstream = &between[taps - 1..][..outputs];
                correlate(simd, upstream, &windows.row(index)[..window], &mut newest_last);
                let filter = sums.filter.row_mut(index).iter_mut();
                filter.zip(newest_last.iter().rev()).for_each(|(sum, gradient)| *sum += *gradient);
            }
        }
    }

    #[inline(always)]
    fn transforms<S: Simd>(
        &self,
        simd: S,
        group: &Group,
        length: usize,
        channels: Range<usize>,
        sums: &mut Sums<E>,
    ) {
        let width = channels.len();
        let mut transform = Transform::new(length);
        let filter =
            Spectra::of_filter(&mut transform, self.filter, self.extents.taps, group.taps, channels.clone());
        let mut d_filter = Spectra::zeros(&transform, width);
        let (mut spectrum, mut d_spectrum) = (transform.spectrum(), transform.spectrum());
        let [mut windows, mut gradients] = [(); 2].map(|()| Rows::new(width, length));
        let entries = Sequence { numbers: self.entries, stride: self.extents.channels, channels };
        let upstream = Sequence { numbers: self.upstream, ..entries.clone() };
        for piece in &group.pieces {
            windows.load_at_end(simd, &entries, self.extents.entry(piece), piece.inputs(), length);
            gradients.load_at_end(simd, &upstream, self.extents.output(piece), piece.outputs(), length);
            for index in 0..width {
                let gradients = gradients.row_mut(index);
                transform.forward(windows.row_mut(index), &mut spectrum);
                transform.forward(gradients, &mut d_spectrum);
                add_product(d_filter.of_mut(index), &spectrum, &d_spectrum);
                multiply_conjugate(&mut d_spectrum, filter.of(index));
                transform.inverse(&mut d_spectrum, gradients);
                sums.add_entries(piece.row, index, piece.first, &gradients[length - piece.inputs()..]);
            }
        }
        let scale = <E as Real>::from_f64(1.0 / length as f64);
        for index in 0..width {
            let gradients = gradients.row_mut(index);
            transform.inverse(d_filter.of_mut(index), gradients);
            let filter = sums.filter.row_mut(index)[..group.taps].iter_mut();
            filter.zip(gradients.iter()).for_each(|(sum, gradient)| *sum += *gradient * scale);
        }
    }
}
