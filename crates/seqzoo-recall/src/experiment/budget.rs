//! Sizes that give a state of so many bytes.

use super::{Contestant, Experiment, Layer};
use crate::Error;
use crate::device;
use crate::error::ensure;
use crate::task::Split;
use burn::tensor::{Device, Int, Tensor};
use seqzoo::models::LanguageModel;
use seqzoo::{MixerState, SequenceMixer, StateBytes};

/// The option whose value is to be found.
const SOLVE: &str = "solve";

/// Widths are tried in steps of this, up to the largest.
const WIDTH_STEP: usize = 8;
const MAX_WIDTH: usize = 1024;

/// The largest value that is tried for an option.
const MAX_VALUE: usize = 4096;

/// A cache grows with the tokens, so that its size is known after as many have been read: no more than this.
const MAX_CACHED: usize = 1024;

/// How far the state may be from what was wanted: a tenth.
const TOLERANCE: usize = 10;

impl Experiment {
    /// The experiment with the size for every contestant that has a budget whose state comes closest, checked.
    ///
    /// # Errors
    ///
    /// If a budget cannot be met, or a contestant of that size cannot be.
    pub fn sized(&self) -> Result<Self, Error> {
        let size = |contestant: &Contestant| {
            self.met(contestant).map_err(|problem| format!("the contestant `{}`: {problem}", contestant.name))
        };
        let contestants = self.contestants.iter().map(size).collect::<Result<_, _>>();
        let contestants =
            contestants.map_err(|problem| Error::Experiment { experiment: self.name.clone(), problem })?;
        let sized = Self { contestants, ..self.clone() };
        sized.check()?;
        Ok(sized)
    }

    /// Whether the size of a contestant is yet to be found.
    pub(super) fn is_open(contestant: &Contestant) -> bool {
        marks(contestant) > 0 || (contestant.state_bytes.is_some() && contestant.width.is_none())
    }

    fn met(&self, contestant: &Contestant) -> Result<Contestant, String> {
        let options = marks(contestant);
        let shared = self.state_bytes.filter(|_| options > 0);
        let Some(budget) = contestant.state_bytes.or(shared) else {
            ensure!(options == 0, "an option is to be solved for; say for how many bytes with `state_bytes`");
            return Ok(contestant.clone());
        };
        ensure!(budget > 0, "`state_bytes` is 0, but a state has at least a byte");
        ensure!(options <= 1, "{options} options are to be solved for, but one equation has one unknown");
        let (bytes, size) = self.closest(contestant, budget)?;
        let choice = format!("{} with {bytes} bytes", difference(contestant, &size));
        ensure!(
            bytes.abs_diff(budget) <= budget / TOLERANCE,
            "a state of {budget} bytes cannot be met within a tenth; {choice} comes closest"
        );
        Ok(Contestant { chosen: Some(choice), state_bytes: Some(budget), ..size })
    }

    /// The size whose state comes closest, and its bytes.
    fn closest(&self, contestant: &Contestant, budget: usize) -> Result<(usize, Contestant), String> {
        let mut best: Option<(usize, Contestant)> = None;
        let (mut last, mut most, mut problem) = (usize::MAX, usize::MAX, None);
        for (value, size) in self.sizes(contestant)? {
            if value > most || best.as_ref().is_some_and(|(closest, _)| *closest == budget) {
                continue;
            }
            let bytes = match self.memory(&size) {
                Ok(bytes) => bytes,
                // Most numbers of heads do not divide the width.
                Err(reason) => {
                    problem.get_or_insert(reason);
                    continue;
                }
            };
            if bytes / 2 > budget && bytes > last {
                // Bytes rise with the value: all larger ones are further off.
                most = value;
            }
            last = bytes;
            if best.as_ref().is_none_or(|(closest, _)| bytes.abs_diff(budget) < closest.abs_diff(budget)) {
                best = Some((bytes, size));
            }
        }
        best.ok_or_else(|| problem.unwrap_or_else(|| "no size of it can be".into()))
    }

    /// The contestant in all sizes that are tried.
    fn sizes(&self, contestant: &Contestant) -> Result<Vec<(usize, Contestant)>, String> {
        let with_width = |width| (width, Contestant { width: Some(width), ..contestant.clone() });
        Ok(match (marks(contestant), contestant.width, self.model.widths.as_slice()) {
            (0, Some(width), _) => vec![with_width(width)],
            (0, None, _) => (WIDTH_STEP..=MAX_WIDTH).step_by(WIDTH_STEP).map(with_width).collect(),
            (_, Some(width), _) | (_, None, &[width]) => {
                let (_, contestant) = with_width(width);
                values().map(|value| (value, solved(&contestant, value))).collect()
            }
            _ => return Err("an option is solved for at one width; give the contestant its `width`".into()),
        })
    }

    /// Bytes that it remembers with after the longest test example: recurrent memories and caches. What a
    /// convolution keeps counts where there is nothing else.
    fn memory(&self, contestant: &Contestant) -> Result<usize, String> {
        let width = contestant.width.unwrap_or_default();
        // The state does not depend on the vocabulary, of which a model of any size is made quickly with two tokens.
        let (_, device) = device::find(device::names().last().copied()).map_err(|error| error.to_string())?;
        let model =
            self.model.model(&contestant.layers, width, 2).and_then(|config| config.try_init(&device));
        let model = model.map_err(|error| error.to_string())?;
        let lengths = self.task.segments(Split::Test).into_iter().map(|(slice, _)| slice.length);
        let StateBytes { recurrent, cache, convolution } =
            state(&model, lengths.max().unwrap_or(1), &device)?;
        let memory = recurrent.saturating_add(cache);
        Ok(if memory > 0 { memory } else { convolution })
    }
}

/// The state of one sequence of `time` tokens.
fn state(model: &LanguageModel, time: usize, device: &Device) -> Result<StateBytes, String> {
    let empty: StateBytes = model
        .blocks
        .iter()
        .map(|block| block.mixer.init_state(1, device).bytes())
        .fold(Default::default(), |a, b| a + b);
    let read = |time| model.hidden(Tensor::<2, Int>::zeros([1, time], device), None, None).1.bytes();
    let grows = read(1).cache > empty.cache || empty.total() == empty.convolution;
    if !grows {
        return Ok(empty);
    }
    ensure!(
        time <= MAX_CACHED,
        "its state grows with the tokens, and the longest test has {time}; a budget for it wants at most {MAX_CACHED}"
    );
    Ok(read(time))
}

/// The values that are tried for an option: powers of two, which are most of the answers, then all.
fn values() -> impl Iterator<Item = usize> {
    (0..=MAX_VALUE.ilog2()).map(|power| 1 << power).chain(1..=MAX_VALUE)
}

/// How many options are to be solved for.
fn marks(contestant: &Contestant) -> usize {
    let marks = |layer: &Layer| layer.options.values().filter(|value| **value == SOLVE).count();
    contestant.layers.iter().map(marks).sum()
}

/// The contestant with `value` for what is to be solved for.
fn solved(contestant: &Contestant, value: usize) -> Contestant {
    let mut contestant = contestant.clone();
    let options = contestant.layers.iter_mut().flat_map(|layer| layer.options.values_mut());
    for option in options.filter(|option| **option == SOLVE) {
        *option = value.into();
    }
    contestant
}

/// The size that `chosen` has and `wanted` left open, in words.
fn difference(wanted: &Contestant, chosen: &Contestant) -> String {
    let mut options = wanted.layers.iter().zip(&chosen.layers).flat_map(|(wanted, chosen)| {
        let marked = wanted.options.iter().filter(|(_, value)| **value == SOLVE);
        marked.map(|(name, _)| format!("{name} = {}", chosen.options[name]))
    });
    options.next().unwrap_or_else(|| format!("width = {}", chosen.width.unwrap_or_default()))
}
