//! The loop: in every turn each stream reads what it has to, all of them in one call.

use crate::requests::Request;
use burn::tensor::{Int, Tensor, TensorData};
use seqzoo::MixerState;
use seqzoo::models::{LanguageModel, Sampler, Sampling};
use seqzoo::ops::Segments;
use std::time::Instant;

/// What came of the requests.
pub struct Served {
    /// The tokens of each answer.
    pub answers: Vec<Vec<usize>>,
    /// The calls of the model.
    pub calls: usize,
    pub seconds: f64,
}

/// A request that is being answered.
struct Stream {
    /// Its number.
    request: usize,
    /// The tokens that its state has not seen: the prompt at first, then one.
    pending: Vec<usize>,
}

/// Answers all requests, `slots` of them at a time, each with its most likely tokens up to its number of them or one of
/// `end_tokens`.
pub fn serve(
    model: &LanguageModel,
    requests: &[Request],
    slots: usize,
    end_tokens: &[usize],
) -> Result<Served, String> {
    let slots = slots.min(requests.len());
    let device = model.embedding.weight.val().device();
    let begin = Instant::now();
    let mut answers = vec![Vec::new(); requests.len()];
    let mut waiting = requests.iter().enumerate().filter(|(_, request)| request.max_tokens > 0);
    let mut streams: Vec<Option<Stream>> = (0..slots).map(|_| None).collect();
    // One state of all slots, also of those that are empty.
    let mut state = model.init_state(slots, &device);
    let mut calls = 0;
    let mut greedy = Sampler::new(Sampling::Greedy).map_err(|error| error.to_string())?;
    loop {
        // New requests take the places of those that have ended.
        for (slot, stream) in streams.iter_mut().enumerate().filter(|(_, stream)| stream.is_none()) {
            let Some((number, request)) = waiting.next() else { break };
            *stream = Some(Stream { request: number, pending: request.tokens.clone() });
            // All sequences of a state share its position, which layers that take segments do not read.
            let mut fresh = model.init_state(1, &device);
            fresh.position = state.position;
            state = state.put(&[slot], fresh);
        }
        let pending = |stream: &Option<Stream>| stream.as_ref().map_or(0, |stream| stream.pending.len());
        let lengths: Vec<usize> = streams.iter().map(pending).collect();
        if lengths.iter().all(|length| *length == 0) {
            break;
        }
        let row: Vec<i64> =
            streams.iter().flatten().flat_map(|stream| &stream.pending).map(|token| *token as i64).collect();
        let count = row.len();
        let row = Tensor::<2, Int>::from_data(TensorData::new(row, [1, count]), &device);
        let (hidden, after) = model.hidden_segments(row, &Segments::in_one_row(lengths.clone()), Some(state));
        state = after;
        calls += 1;

        let logits = model.logits(hidden.select(1, lasts(&lengths, &device)));
        let vocabulary = model.config().vocab_size;
        let logits =
            logits.into_data().convert::<f32>().try_to_vec::<f32>().map_err(|error| error.to_string())?;
        let mut logits = logits.chunks(vocabulary);
        for place in streams.iter_mut().filter(|stream| stream.is_some()) {
            let (Some(stream), Some(logits)) = (place.as_mut(), logits.next()) else { break };
            let number = stream.request;
            let token =
                greedy.try_next(logits).map_err(|error| format!("request {}: {error}", number + 1))?;
            let ends = end_tokens.contains(&token);
            if !ends {
                answers[number].push(token);
            }
            match ends || answers[number].len() == requests[number].max_tokens {
                true => *place = None,
                false => stream.pending = vec![token],
            }
        }
    }
    Ok(Served { answers, calls, seconds: begin.elapsed().as_secs_f64() })
}

/// Where the last token of each stream that has any is in the row.
fn lasts(lengths: &[usize], device: &burn::tensor::Device) -> Tensor<1, Int> {
    let mut end = 0;
    let places: Vec<i64> = lengths
        .iter()
        .filter(|length| **length > 0)
        .map(|length| {
            end += *length as i64;
            end - 1
        })
        .collect();
    Tensor::from_data(TensorData::from(places.as_slice()), device)
}
