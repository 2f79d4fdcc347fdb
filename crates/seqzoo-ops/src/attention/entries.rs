//! The keys or values of a cache, with room to grow.

use crate::tail::tail;
use burn::tensor::{DType, Tensor};

/// Keys or values, oldest first, `[B, S, HK, d]`.
///
/// Off the tape it keeps room for later entries: one is then written beside the others, which are copied once for as
/// many new ones and not at every token. The room is at most as large again as the entries were when it was made. On an
/// autodiff device there is none.
#[derive(Clone, Debug)]
pub struct Entries {
    buffer: Tensor<4>,
    /// The entries of the buffer that lie before the oldest one.
    first: usize,
    length: usize,
}

impl From<Tensor<4>> for Entries {
    fn from(buffer: Tensor<4>) -> Self {
        Self { first: 0, length: buffer.dims()[1], buffer }
    }
}

impl Entries {
    /// The entries as a tensor, `[B, S, HK, d]`.
    pub fn tensor(&self) -> Tensor<4> {
        match self.buffer.dims()[1] == self.length {
            true => self.buffer.clone(),
            false => self.buffer.clone().narrow(1, self.first, self.length),
        }
    }

    /// `[B, S, HK, d]`.
    pub fn dims(&self) -> [usize; 4] {
        let [batch, _, heads, channels] = self.buffer.dims();
        [batch, self.length, heads, channels]
    }

    /// The type of the numbers.
    pub fn dtype(&self) -> DType {
        self.buffer.dtype()
    }

    /// These entries and, after them, `new`.
    pub(super) fn append(self, new: Tensor<4>) -> Self {
        if self.length == 0 {
            return new.into();
        }
        let [batch, added, heads, channels] = new.dims();
        let length = self.length + added;
        if new.device().is_autodiff() {
            return Tensor::cat(vec![self.tensor(), new], 1).into();
        }
        let end = self.first + length;
        if end <= self.buffer.dims()[1] {
            let place = [0..batch, self.first + self.length..end, 0..heads, 0..channels];
            return Self { buffer: self.buffer.slice_assign(place, new), first: self.first, length };
        }
        let room = Tensor::zeros([batch, length, heads, channels], (&new.device(), new.dtype()));
        Self { buffer: Tensor::cat(vec![self.tensor(), new, room], 1), first: 0, length }
    }

    /// The newest entries, `count` of them.
    pub(super) fn newest(self, count: usize) -> Self {
        let capacity = self.buffer.dims()[1];
        match capacity == self.length || capacity > 4 * count {
            // Copied where the others would be much of what is kept in memory.
            true => tail(self.tensor(), count).into(),
            false => Self { first: self.first + self.length - count, length: count, buffer: self.buffer },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    impl Entries {
        fn newest_of(self, window: usize) -> Self {
            if self.length > window { self.newest(window) } else { self }
        }
    }

    #[test]
    fn entries_are_those_of_a_copy_at_every_token() {
        let device = Device::flex();
        for window in [1, 3, 7, 1000] {
            let mut all = Tensor::<4>::zeros([2, 0, 1, 3], &device);
            let mut entries = Entries::from(all.clone());
            for added in [1, 1, 5, 1, 1, 1, 40, 1, 2, 1].into_iter().chain([1; 60]) {
                let new = Tensor::random([2, added, 1, 3], Distribution::Default, &device);
                all = if all.dims()[1] == 0 { new.clone() } else { Tensor::cat(vec![all, new.clone()], 1) };
                entries = entries.append(new);
                if window < all.dims()[1] {
                    all = tail(all, window);
                    entries = entries.newest(window);
                }
                assert_eq!(entries.dims(), all.dims());
                entries.tensor().to_data().assert_eq(&all.to_data(), true);
                let length = entries.dims()[1];
                assert!(entries.buffer.dims()[1] <= 4 * length, "{length} of {:?}", entries.buffer.dims());
            }
        }
    }

    #[test]
    fn a_stream_copies_its_window_once_for_as_many_tokens() {
        let device = Device::flex();
        let token = || Tensor::<4>::zeros([1, 1, 1, 2], &device);
        for window in [1, 2, 50, 300] {
            let mut entries = Entries::from(token());
            let (mut copies, tokens) = (0, 3000);
            for _ in 0..tokens {
                let end = entries.first + entries.length;
                entries = entries.append(token()).newest_of(window);
                copies += usize::from(entries.first + entries.length != end + 1);
            }
            let most = 2 * tokens / window + 10;
            assert!(copies <= most, "{copies} copies with a window of {window}");
        }
    }

    #[test]
    fn a_fork_keeps_its_entries() {
        let device = Device::flex();
        let new = |value: f32| Tensor::<4>::full([1, 1, 1, 2], value, &device);
        let trunk = Entries::from(new(1.0)).append(new(2.0));
        let (left, right) = (trunk.clone().append(new(3.0)), trunk.clone().append(new(4.0)));
        let last = |entries: &Entries| entries.tensor().to_data().iter::<f32>().last().unwrap();
        assert_eq!([last(&trunk), last(&left), last(&right)], [2.0, 3.0, 4.0]);
    }
}
