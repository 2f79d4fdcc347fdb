//! A generation that is written as it comes.

use crate::output::Output;
use crate::stop;
use seqzoo::MixerState;
use seqzoo::models::{Generator, Parked};
use seqzoo_examples::text::TextStream;
use std::time::{Duration, Instant};

/// A generation, and where its text goes.
pub struct Stream<'a> {
    generator: Generator,
    output: Output<'a>,
    text: TextStream,
    /// The tokens of the prompt.
    read: usize,
    drawn: usize,
    /// The time until the first token, and until the last.
    times: [Duration; 2],
}

impl<'a> Stream<'a> {
    /// A stream of the tokens of `generator`; `text` has followed what came before.
    pub fn new(generator: Generator, output: Output<'a>, text: TextStream) -> Self {
        let read = generator.pending().len();
        Self { generator, output, text, read, drawn: 0, times: [Duration::ZERO; 2] }
    }

    /// Writes at most `max_tokens` tokens. One of `end_tokens` ends it as well, and so do Ctrl-C and a closed output. Where
    /// it `goes_on` later, pieces of a character are left for then.
    ///
    /// # Errors
    ///
    /// If no token can be drawn, or the output takes none.
    pub fn run(&mut self, max_tokens: usize, end_tokens: &[usize], goes_on: bool) -> Result<(), String> {
        let begin = Instant::now();
        while self.drawn < max_tokens && !stop::asked() && !self.output.is_closed() {
            let token = self.generator.try_next().map_err(|error| error.to_string())?;
            self.times[1] = begin.elapsed();
            if self.drawn == 0 {
                self.times[0] = self.times[1];
            }
            self.drawn += 1;
            if end_tokens.contains(&token) {
                break;
            }
            self.output.push(token, &mut self.text)?;
        }
        if !goes_on {
            self.output.finish(&mut self.text)?;
        }
        self.output.end()
    }

    /// Says on stderr what it took.
    pub fn report(&self) {
        let [first, last] = self.times.map(|time| time.as_secs_f64());
        let rate = |tokens: usize, seconds: f64| match seconds > 0.0 {
            true => format!("{:.1} tokens/s", tokens as f64 / seconds),
            false => "no time".to_string(),
        };
        eprintln!(
            "{} tokens read, {}; {} generated, {}; a state of {} bytes",
            self.read,
            rate(self.read, first),
            self.drawn,
            rate(self.drawn.saturating_sub(1), last - first),
            self.generator.state().bytes().total()
        );
    }

    /// Puts it to rest.
    ///
    /// # Errors
    ///
    /// If it has ended for good.
    pub fn park(self) -> Result<(Parked, TextStream), String> {
        match self.generator.error() {
            Some(_) => Err("there is nothing to go on with, so that no state is saved".into()),
            None => Ok((self.generator.park(), self.text)),
        }
    }
}
