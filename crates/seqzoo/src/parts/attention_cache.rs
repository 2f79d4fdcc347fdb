//! The cache of layers that keep a key and a value of every token.

use crate::ops::attention::AttentionState;
use crate::state::StateMapper;
use burn::tensor::{DType, Device, Tensor};

/// The cache of no tokens: `heads` heads of `channels` channels, the same for keys and values.
pub(crate) fn empty_cache(shape: [usize; 3], dtype: DType, device: &Device) -> AttentionState {
    let [batch, heads, channels] = shape;
    let empty = Tensor::zeros([batch, 0, heads, channels], (device, dtype));
    AttentionState { keys: empty.clone().into(), values: empty.into(), log_decays: None, visible: None }
}

/// Walks a cache: `keys`, `values`, `log_decays` where there are any, and `visible`.
pub(crate) fn map_cache<M: StateMapper>(cache: AttentionState, mapper: &mut M) -> AttentionState {
    let keys = mapper.cache("keys", cache.keys.tensor());
    let values = mapper.cache("values", cache.values.tensor());
    let log_decays = cache.log_decays.map(|entries| mapper.cache("log_decays", entries.tensor()));
    let visible = mapper.mask("visible", cache.visible);
    let length = keys.dims()[1];
    mapper.fits(
        values.dims()[1] == length && visible.as_ref().is_none_or(|visible| visible.dims()[1] == length),
        "`keys`, `values` and `visible` are of different lengths",
    );
    mapper.fits(
        log_decays.as_ref().is_none_or(|log_decays| log_decays.dims()[1] == length),
        "`keys` and `log_decays` are of different lengths",
    );
    AttentionState {
        keys: keys.into(),
        values: values.into(),
        log_decays: log_decays.map(Into::into),
        visible,
    }
}

/// Walks a cache and the `position` that its newest entry led to.
pub(crate) fn map_cache_and_position<M: StateMapper>(
    cache: AttentionState,
    position: u64,
    mapper: &mut M,
) -> (AttentionState, u64) {
    let cache = map_cache(cache, mapper);
    let position = mapper.number("position", position);
    let length = cache.keys.dims()[1];
    mapper.fits(
        (length > 0) == (position > 0) && length as u64 <= position,
        "its cache does not fit its position",
    );
    (cache, position)
}
