//! Several sequences in a row, each with a cache of its own.

use super::{AttentionState, Problem};
use crate::segments::{Segments, Unpacking, gather};
use burn::tensor::{Bool, Tensor, TensorData};

/// The output in a form that takes rows: every segment is one, padded to the longest.
pub(super) fn padded(
    problem: &Problem,
    segments: &Segments,
    form: impl FnOnce(Problem) -> Tensor<4>,
) -> Tensor<4> {
    let unpacking = Unpacking::new(segments.clone());
    if segments.longest() == 0 {
        let [batch, time, heads, _] = problem.query.dims();
        return problem.value.clone().reshape([batch, time, heads, problem.value.dims()[3]]);
    }
    // What is behind a segment comes after all of it, so that only itself sees it; and it must see something. In both
    // directions it would be seen.
    let device = problem.query.device();
    let resets = match problem.bidirectional {
        true => unpacking.unpack_resets_closing(problem.resets.clone(), &device),
        false => problem.resets.clone().map(|resets| unpacking.unpack_resets(resets)),
    };
    let unpack = |tensor: &Tensor<4>| unpacking.unpack(tensor.clone());
    let states = |entries: super::Entries| unpacking.states(entries.tensor()).into();
    let rows = Problem {
        query: unpack(&problem.query),
        key: unpack(&problem.key),
        value: unpack(&problem.value),
        log_decay: problem.log_decay.as_ref().map(unpack),
        cache: problem.cache.clone().map(|cache| AttentionState {
            keys: states(cache.keys),
            values: states(cache.values),
            log_decays: cache.log_decays.map(states),
            visible: None,
        }),
        visible: problem.visible.clone().map(|visible| unpacking.states(visible.float()).bool()),
        prefix: problem
            .prefix
            .clone()
            .map(|prefix| super::Prefix { query: prefix.query.as_ref().map(unpack), ..prefix }),
        resets,
        segments: None,
        ..problem.clone()
    };
    unpacking.pack(form(rows))
}

/// The caches after the last token of every segment, as long as the longest: `[N, S, ...]`.
pub(super) fn state(problem: &Problem, segments: &Segments) -> AttentionState {
    let [batch, time, _, _] = problem.query.dims();
    let (count, cached) = (segments.count(), problem.cached);
    let flags = |tensor: &Tensor<2, Bool>| -> Vec<bool> { tensor.to_data().iter().collect() };
    let visible = problem.visible.as_ref().map(flags);
    let resets = problem.resets.as_ref().map(flags);
    let kept = problem.window.map_or(usize::MAX, |window| window.saturating_sub(1).max(1));

    // Where the entries of every segment are: those of the caches first, then the tokens.
    let sources: Vec<Vec<usize>> = segments
        .all()
        .iter()
        .enumerate()
        .map(|(number, segment)| {
            let tokens =
                segment.row * time + segment.start..segment.row * time + segment.start + segment.length;
            let reset = resets.as_ref().and_then(|resets| tokens.clone().rev().find(|token| resets[*token]));
            let own = reset.unwrap_or(tokens.start)..tokens.end;
            let old = number * cached..(number + 1) * cached;
            let old =
                old.filter(|entry| reset.is_none() && visible.as_ref().is_none_or(|visible| visible[*entry]));
            let all: Vec<usize> = old.chain(own.map(|token| count * cached + token)).collect();
            all[all.len().saturating_sub(kept)..].to_vec()
        })
        .collect();
    let longest = sources.iter().map(Vec::len).max().unwrap_or(0);
    let before = |source: &Vec<usize>| longest - source.len();
    let hidden: Vec<bool> = sources
        .iter()
        .flat_map(|source| (0..longest).map(|place| place >= before(source)).collect::<Vec<_>>())
        .collect();
    let device = problem.query.device();
    let entries = |old: Option<Tensor<4>>, new: Tensor<4>| {
        let [_, _, heads, channels] = new.dims();
        if count * longest == 0 {
            return Tensor::zeros([count, longest, heads, channels], (&device, new.dtype()));
        }
        let new = new.reshape([1, batch * time, heads, channels]);
        let all = match old {
            None => new,
            Some(old) => Tensor::cat(vec![old.reshape([1, count * cached, heads, channels]), new], 1),
        };
        let places = sources.iter().flat_map(|source| {
            let padding = std::iter::repeat_n(None, longest - source.len());
            padding.chain(source.iter().copied().map(Some))
        });
        gather(all, count, places)
    };
    let cache = problem.cache.as_ref();
    AttentionState {
        keys: entries(cache.map(|cache| cache.keys.tensor()), problem.key.clone()).into(),
        values: entries(cache.map(|cache| cache.values.tensor()), problem.value.clone()).into(),
        log_decays: problem.log_decay.clone().map(|new| {
            let old = cache.and_then(|cache| cache.log_decays.as_ref()).map(super::Entries::tensor);
            entries(old, new).into()
        }),
        visible: hidden
            .contains(&false)
            .then(|| Tensor::from_data(TensorData::new(hidden.clone(), [count, longest]), &device)),
    }
}
