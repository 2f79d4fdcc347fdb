//! The outputs.

use super::Tile;
use super::correlation::correlate;
use super::plan::{Extents, Group, Method, Plan};
use super::rows::{Rows, Sequence};
use super::transform::{Spectra, Spectral, Transform, multiply};
use crate::kernel::cpu::output::Output;
use pulp::Simd;
use std::ops::Range;

pub(super) struct Forward<'a, E> {
    pub extents: Extents,
    pub plan: &'a Plan,
    pub entries: &'a [E],      // [b, n, d]
    pub filter: &'a [E],       // [d, l]
    pub output: Output<'a, E>, // [b, t, d]
}

impl<E: Spectral> Tile for Forward<'_, E> {
    #[inline(always)]
    fn tile<S: Simd>(&self, simd: S, channels: Range<usize>) {
        for group in &self.plan.groups {
            match group.method {
                Method::Sum => self.sums(simd, group, channels.clone()),
                Method::Transform(length) => self.transforms(simd, group, length, channels.clone()),
            }
        }
    }
}

impl<E: Spectral> Forward<'_, E> {
    #[inline(always)]
    fn sums<S: Simd>(&self, simd: S, group: &Group, channels: Range<usize>) {
        let (width, taps) = (channels.len(), group.taps);
        let mut filter = Rows::new(width, taps);
        for (index, channel) in channels.clone().enumerate() {
            let from = &self.filter[channel * self.extents.taps..][..taps];
            filter.row_mut(index).iter_mut().zip(from.iter().rev()).for_each(|(to, tap)| *to = *tap);
        }
        let mut windows = Rows::new(width, group.longest_window());
        let mut sums = Rows::new(width, group.most_outputs());
        let entries = Sequence { numbers: self.entries, stride: self.extents.channels, channels };
        for piece in &group.pieces {
            let (window, outputs) = (group.window(piece), piece.outputs());
            windows.load_at_end(simd, &entries, self.extents.entry(piece), piece.inputs(), window);
            for index in 0..width {
                let sums = &mut sums.row_mut(index)[..outputs];
                sums.fill(E::default());
                correlate(simd, filter.row(index), &windows.row(index)[..window], sums);
            }
            // SAFETY: the tile and the piece are this task's alone.
            unsafe { sums.store(simd, self.output, self.extents.output(piece), &entries, 0..outputs) };
        }
    }

    #[inline(always)]
    fn transforms<S: Simd>(&self, simd: S, group: &Group, length: usize, channels: Range<usize>) {
        let width = channels.len();
        let mut transform = Transform::new(length);
        let filter =
            Spectra::of_filter(&mut transform, self.filter, self.extents.taps, group.taps, channels.clone());
        let mut spectrum = transform.spectrum();
        let mut windows = Rows::new(width, length);
        let entries = Sequence { numbers: self.entries, stride: self.extents.channels, channels };
        for piece in &group.pieces {
            windows.load_at_end(simd, &entries, self.extents.entry(piece), piece.inputs(), length);
            for index in 0..width {
                let window = windows.row_mut(index);
                transform.forward(window, &mut spectrum);
                multiply(&mut spectrum, filter.of(index));
                transform.inverse(&mut spectrum, window);
            }
            let outputs = length - piece.outputs()..length;
            // SAFETY: as above.
            unsafe { windows.store(simd, self.output, self.extents.output(piece), &entries, outputs) };
        }
    }
}
