//! The forms of an operator, and the report of which one ran.

use crate::kernel::Kernel;
use crate::segments::Segments;
use std::fmt;

/// How an operator is computed. Every form computes the same function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The kernel where the device has one; else the recurrent step for one token, and the chunk-parallel
    /// or whole-sequence form for more.
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
    /// Native code with a hand-written backward; an error on a device that has none.
    Kernel,
}

/// The forms that an operator has on a device. It always has [`Form::Naive`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forms {
    /// The form that [`Form::Auto`] takes without a kernel: in chunks or the whole sequence at once.
    pub many_tokens: Form,
    /// The form that it takes for one token.
    pub one_token: Form,
    /// The kernel of the device, if the operator has one there.
    pub kernel: Option<Kernel>,
}

impl Forms {
    /// Of an operator that works in chunks.
    pub fn chunked(kernel: Option<Kernel>) -> Self {
        Self { many_tokens: Form::Chunked { size: 64 }, one_token: Form::Naive, kernel }
    }

    /// Of an operator that takes the whole sequence at once.
    pub fn parallel(kernel: Option<Kernel>) -> Self {
        Self { many_tokens: Form::Parallel, one_token: Form::Naive, kernel }
    }
}

/// Which form an operator takes, and why: nothing falls back silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The form that runs; never [`Form::Auto`].
    pub form: Form,
    /// The kernel that runs, where the form is [`Form::Kernel`].
    pub kernel: Option<Kernel>,
    /// Why this form, in a few words.
    pub reason: &'static str,
}

impl Report {
    /// A form without a kernel, for operators and layers made of tensor operations.
    pub fn form(form: Form, reason: &'static str) -> Self {
        Self { form, kernel: None, reason }
    }

    fn kernel(kernel: Kernel, reason: &'static str) -> Self {
        Self { form: Form::Kernel, kernel: Some(kernel), reason }
    }

    /// The same for `segments`, which the CPU kernel takes as they lie and all else as the rows of a batch.
    pub(crate) fn with_segments(self, segments: Option<&Segments>) -> Self {
        let pads = self.kernel != Some(Kernel::Cpu) && segments.is_some_and(|segments| !segments.are_even());
        if pads { Self { reason: "segments padded to the longest", ..self } } else { self }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            Form::Chunked { size } => write!(f, "chunked in {size} tokens ({})", self.reason),
            Form::Naive => write!(f, "token by token ({})", self.reason),
            Form::Parallel => write!(f, "the whole sequence at once ({})", self.reason),
            Form::Kernel | Form::Auto => match self.kernel {
                Some(kernel) => write!(f, "{kernel} ({})", self.reason),
                None => f.write_str(self.reason),
            },
        }
    }
}

impl Form {
    /// The form that an operator with `forms` takes for `time` tokens.
    ///
    /// # Panics
    ///
    /// If a chunk size is not a power of two, or a form is asked for that the operator does not have there.
    #[track_caller]
    pub(crate) fn resolve(self, time: usize, forms: &Forms) -> Report {
        let asked = |form| Report::form(form, "asked for");
        match (self, forms.many_tokens, forms.kernel) {
            (Form::Auto, _, Some(kernel)) => Report::kernel(kernel, "the device has it"),
            (Form::Auto, Form::Chunked { .. }, None) if time > 1 => {
                Report::form(forms.many_tokens, "the device has no kernel")
            }
            (Form::Auto, _, None) if time > 1 => {
                Report::form(forms.many_tokens, "this operator has no chunks, and no kernel there")
            }
            (Form::Auto, _, None) => Report::form(forms.one_token, "one token; the device has no kernel"),
            (Form::Naive, ..) | (Form::Parallel, Form::Parallel, _) => asked(self),
            (Form::Chunked { size }, Form::Chunked { .. }, _) => {
                assert!(
                    size.is_power_of_two(),
                    "The chunk size is {size}, but a power of two is wanted (64 is the usual choice)."
                );
                asked(self)
            }
            (Form::Kernel, _, Some(kernel)) => Report::kernel(kernel, "asked for"),
            (Form::Kernel, Form::Chunked { .. }, None) => panic!(
                "The form `Kernel` was asked for, but the device has no kernel of this operator; \
                 use `Form::Auto`, or `Form::Chunked {{ size: 64 }}`."
            ),
            (_, many, _) => panic!(
                "The form `{self:?}` was asked for, but this operator does not have it; \
                 use `Form::Auto` or `Form::{many:?}`."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_takes_the_kernel_where_there_is_one() {
        for time in [1, 2, 1000] {
            let report = Form::Auto.resolve(time, &Forms::chunked(Some(Kernel::Cpu)));
            assert_eq!((report.form, report.kernel), (Form::Kernel, Some(Kernel::Cpu)));
        }
        assert_eq!(
            Form::Kernel.resolve(5, &Forms::chunked(Some(Kernel::Gpu))).to_string(),
            "CubeCL kernel (asked for)"
        );
    }

    #[test]
    fn without_a_kernel_auto_takes_the_step_for_one_token_and_chunks_for_more() {
        assert_eq!(Form::Auto.resolve(1, &Forms::chunked(None)).form, Form::Naive);
        let report = Form::Auto.resolve(2, &Forms::chunked(None));
        assert_eq!(report.form, Form::Chunked { size: 64 });
        assert_eq!(report.to_string(), "chunked in 64 tokens (the device has no kernel)");
    }

    #[test]
    fn an_operator_without_chunks_takes_the_whole_sequence() {
        assert_eq!(Form::Auto.resolve(1, &Forms::parallel(None)).form, Form::Naive);
        assert_eq!(Form::Auto.resolve(2, &Forms::parallel(None)).form, Form::Parallel);
        assert!(
            Form::Auto
                .resolve(2, &Forms::parallel(None))
                .to_string()
                .starts_with("the whole sequence at once")
        );
    }

    #[test]
    fn only_the_cpu_takes_uneven_segments_as_they_lie() {
        let (uneven, even) = (Segments::in_one_row([3, 0, 2]), Segments::in_one_row([3, 0, 3]));
        let said = |kernel, segments| {
            let report = Form::Auto.resolve(3, &Forms::chunked(kernel));
            report.with_segments(segments).to_string()
        };
        assert_eq!(said(Some(Kernel::Cpu), Some(&uneven)), "native CPU kernel (the device has it)");
        assert_eq!(said(Some(Kernel::Gpu), Some(&uneven)), "CubeCL kernel (segments padded to the longest)");
        assert_eq!(said(Some(Kernel::Gpu), Some(&even)), "CubeCL kernel (the device has it)");
        assert_eq!(said(None, Some(&uneven)), "chunked in 64 tokens (segments padded to the longest)");
        assert_eq!(said(None, None), "chunked in 64 tokens (the device has no kernel)");
    }

    #[test]
    #[should_panic(expected = "use `Form::Auto` or `Form::Parallel`")]
    fn chunks_are_refused_where_there_are_none() {
        Form::Chunked { size: 64 }.resolve(100, &Forms::parallel(None));
    }

    #[test]
    #[should_panic(expected = "power of two is wanted")]
    fn a_chunk_of_48_is_refused() {
        Form::Chunked { size: 48 }.resolve(100, &Forms::chunked(None));
    }

    #[test]
    #[should_panic(expected = "the device has no kernel of this operator")]
    fn a_kernel_is_never_replaced_silently() {
        Form::Kernel.resolve(100, &Forms::chunked(None));
    }
}
