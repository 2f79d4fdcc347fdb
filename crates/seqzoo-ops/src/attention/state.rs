//! The cache of softmax attention.

use super::Entries;
use crate::precision::to_dtype;
use burn::tensor::{Bool, DType, Tensor};

/// The keys and values that later tokens still see.
#[derive(Clone, Debug)]
pub struct AttentionState {
    /// Keys, oldest first, `[B, S, HK, K]`.
    pub keys: Entries,
    /// Values, oldest first, `[B, S, HK, V]`.
    pub values: Entries,
    /// The log decay of each entry, `[B, S, H, 1]`, where there are log decays.
    pub log_decays: Option<Entries>,
    /// `[B, S]`, false for entries that a reset has hidden from a sequence; absent where nothing is hidden.
    pub visible: Option<Tensor<2, Bool>>,
}

impl AttentionState {
    /// The cache after more tokens, all of which are visible unless `visible` says else.
    pub(super) fn after(past: Option<Self>, new: Self, visible: Option<Tensor<2, Bool>>) -> Self {
        let Some(past) = past else { return Self { visible, ..new } };
        let log_decays = past.log_decays.zip(new.log_decays);
        Self {
            keys: past.keys.append(new.keys.tensor()),
            values: past.values.append(new.values.tensor()),
            log_decays: log_decays.map(|(past, new)| past.append(new.tensor())),
            visible,
        }
    }

    /// Only the newest `window - 1` entries (at least one): what the next token can still see.
    pub(super) fn trimmed(self, window: Option<usize>) -> Self {
        match window {
            Some(window) => self.newest(window.saturating_sub(1).max(1)),
            None => self,
        }
    }

    /// The newest entries, at most `count` of them.
    pub(super) fn newest(self, count: usize) -> Self {
        let length = self.length();
        if count >= length {
            return self;
        }
        Self {
            keys: self.keys.newest(count),
            values: self.values.newest(count),
            log_decays: self.log_decays.map(|log_decays| log_decays.newest(count)),
            visible: self.visible.map(|visible| visible.narrow(1, length - count, count)),
        }
    }

    /// Without the oldest entries that are hidden from every sequence, and without a mask that hides nothing.
    pub(super) fn without_hidden(self) -> Self {
        let Some(visible) = &self.visible else { return self };
        let length = self.length();
        let flags: Vec<bool> = visible.to_data().iter().collect();
        let rows = || flags.chunks_exact(length);
        let first = |row: &[bool]| row.iter().position(|visible| *visible).unwrap_or(length);
        let Some(hidden) = rows().map(first).min().filter(|hidden| *hidden < length) else { return self };
        let whole = rows().all(|row| row[hidden..].iter().all(|visible| *visible));
        let state = self.newest(length - hidden);
        if whole { Self { visible: None, ..state } } else { state }
    }

    /// In the dtype `wide`. Entries that are of it keep their room.
    pub(super) fn widened(self, wide: DType) -> Self {
        let widened = |entries: Entries| match entries.dtype() == wide {
            true => entries,
            false => to_dtype(entries.tensor(), wide).into(),
        };
        Self {
            keys: widened(self.keys),
            values: widened(self.values),
            log_decays: self.log_decays.map(widened),
            visible: self.visible,
        }
    }

    /// The number of entries.
    pub(super) fn length(&self) -> usize {
        self.keys.dims()[1]
    }
}
