//! The forms of an operator, and the report of which one ran.

use std::fmt;

/// How an operator is computed. Every form computes the same function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The recurrent step for one token, else the fastest form the device has.
    #[default]
    Auto,
    /// Token by token: the law. Slow for long sequences.
    Naive,
    /// Chunk-parallel in plain tensor operations, on every backend.
    Chunked {
        /// Tokens per chunk; a power of two.
        size: usize,
    },
    /// The whole sequence at once: the parallel form of operators that have no chunks.
    Parallel,
    /// A native kernel. No operator has one yet, so asking for it is an error.
    Kernel,
}

/// Tokens per chunk where [`Form::Auto`] chooses.
pub(crate) const DEFAULT_CHUNK: usize = 64;

/// Which form an operator takes, and why: nothing falls back silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The form that runs; never [`Form::Auto`].
    pub form: Form,
    /// Why this form, in a few words.
    pub reason: &'static str,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            Form::Chunked { size } => write!(f, "chunked in {size} tokens ({})", self.reason),
            Form::Naive => write!(f, "token by token ({})", self.reason),
            Form::Parallel => write!(f, "the whole sequence at once ({})", self.reason),
            form => write!(f, "{form:?} ({})", self.reason),
        }
    }
}

impl Form {
    /// The form that an operator with chunks takes for `time` tokens.
    ///
    /// # Panics
    ///
    /// If a chunk size is not a power of two, or a form is asked for that the operator does not have:
    /// a kernel, or the whole sequence at once.
    #[track_caller]
    pub fn resolve(self, time: usize) -> Report {
        match self {
            Form::Auto if time == 1 => {
                Report { form: Form::Naive, reason: "one token takes the recurrent step" }
            }
            Form::Auto => Report {
                form: Form::Chunked { size: DEFAULT_CHUNK },
                reason: "this operator has no kernel on any device",
            },
            Form::Naive => Report { form: self, reason: "asked for" },
            Form::Chunked { size } => {
                assert!(
                    size.is_power_of_two(),
                    "The chunk size is {size}, but a power of two is wanted (64 is the usual choice)."
                );
                Report { form: self, reason: "asked for" }
            }
            Form::Parallel | Form::Kernel => panic!(
                "The form `{self:?}` was asked for, but this operator does not have it; \
                 use `Form::Auto`, or `Form::Chunked {{ size: 64 }}`."
            ),
        }
    }

    /// The form that an operator without chunks takes.
    ///
    /// # Panics
    ///
    /// If a form is asked for that the operator does not have: chunks, or a kernel.
    #[track_caller]
    pub fn resolve_whole(self, time: usize) -> Report {
        match self {
            Form::Auto if time == 1 => {
                Report { form: Form::Naive, reason: "one token takes the recurrent step" }
            }
            Form::Auto => {
                Report { form: Form::Parallel, reason: "this operator has no chunks and no kernel" }
            }
            Form::Naive | Form::Parallel => Report { form: self, reason: "asked for" },
            Form::Chunked { .. } | Form::Kernel => panic!(
                "The form `{self:?}` was asked for, but this operator does not have it; \
                 use `Form::Auto` or `Form::Parallel`."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_takes_the_step_for_one_token_and_chunks_for_more() {
        assert_eq!(Form::Auto.resolve(1).form, Form::Naive);
        assert_eq!(Form::Auto.resolve(2).form, Form::Chunked { size: 64 });
        assert!(Form::Auto.resolve(2).to_string().contains("64 tokens"));
    }

    #[test]
    fn an_operator_without_chunks_takes_the_whole_sequence() {
        assert_eq!(Form::Auto.resolve_whole(1).form, Form::Naive);
        assert_eq!(Form::Auto.resolve_whole(2).form, Form::Parallel);
        assert!(Form::Auto.resolve_whole(2).to_string().starts_with("the whole sequence at once"));
    }

    #[test]
    #[should_panic(expected = "use `Form::Auto` or `Form::Parallel`")]
    fn chunks_are_refused_where_there_are_none() {
        Form::Chunked { size: 64 }.resolve_whole(100);
    }

    #[test]
    #[should_panic(expected = "power of two is wanted")]
    fn a_chunk_of_48_is_refused() {
        Form::Chunked { size: 48 }.resolve(100);
    }

    #[test]
    #[should_panic(expected = "does not have it")]
    fn a_kernel_is_never_replaced_silently() {
        Form::Kernel.resolve(100);
    }
}
