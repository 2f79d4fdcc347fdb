//! The memory that training takes, judged before anything is written.

use super::{Contestant, Experiment};
use crate::device;
use crate::error::ensure;
use crate::task::Split;

/// What training takes at least may not exceed this on any machine: 4 TiB.
const MAX_BYTES: usize = 1 << 42;

/// Parameters, gradients and two moments.
const PER_PARAMETER: usize = 4;

/// What a layer saves of every channel for its backward, at least.
const PER_CHANNEL: usize = 4;

impl Experiment {
    /// Says what is wrong with a contestant at `width`, if anything is. No parameter is drawn for it.
    pub(super) fn check_contestant(&self, contestant: &Contestant, width: usize) -> Result<(), String> {
        contestant.check()?;
        self.task.check_width(width)?;
        let bytes = self.bytes(contestant, width)?;
        ensure!(bytes <= MAX_BYTES, "training it takes at least {bytes} bytes, which no machine holds");
        Ok(())
    }

    /// Checks that this machine can hold what each contestant takes, for a device without a memory of its own.
    ///
    /// # Errors
    ///
    /// A sentence that names the first contestant which it cannot hold.
    pub fn check_memory(&self) -> Result<(), String> {
        for contestant in &self.contestants {
            for width in self.widths(contestant) {
                let (name, bytes) = (&contestant.name, self.bytes(contestant, *width)?);
                ensure!(
                    Vec::<u8>::new().try_reserve_exact(bytes).is_ok(),
                    "the contestant `{name}` at width {width}: training it takes at least {bytes} bytes, for which this \
                     machine has no memory"
                );
            }
        }
        Ok(())
    }

    /// The bytes that training `contestant` takes at least: parameters, and one batch of activations.
    fn bytes(&self, contestant: &Contestant, width: usize) -> Result<usize, String> {
        // The last device runs on any machine, if any does.
        let (_, device) = device::find(device::names().last().copied()).map_err(|error| error.to_string())?;
        let vocabulary = self.task.vocabulary();
        let parameters = self
            .model
            .model(&contestant.layers, width, vocabulary)
            .and_then(|config| config.num_params(&device))
            .map_err(|error| error.to_string())?;
        let channels = PER_CHANNEL.saturating_mul(contestant.layers.len()).saturating_mul(width);
        let trained = self.task.segments(Split::Train).into_iter().map(|(slice, _)| {
            let tokens = self.training.batch.examples(slice.length).saturating_mul(slice.length);
            tokens.saturating_mul(channels)
        });
        // An evaluation saves nothing, and holds the inputs and outputs of one layer.
        let tested = self.task.segments(Split::Test).into_iter().map(|(slice, examples)| {
            let read_at_once =
                self.training.stream_tests.map_or(slice.length, |stream| stream.min(slice.length));
            let tokens = self.training.test_batch_size.min(examples).saturating_mul(read_at_once);
            tokens.saturating_mul(2 * width)
        });
        let activations = trained.chain(tested).fold(0, usize::max);
        let numbers = parameters.saturating_mul(PER_PARAMETER).saturating_add(activations);
        Ok(numbers.saturating_mul(size_of::<f32>()))
    }
}
