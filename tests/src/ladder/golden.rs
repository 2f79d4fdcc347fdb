//! Rung 1: every form against what the original implementations computed.

use super::{Case, MemoryOperator};
use crate::{Golden, largest_error, values};
use seqzoo::ops::Form;

/// The forms compared with golden vectors.
pub const FORMS: [Form; 4] =
    [Form::Naive, Form::Chunked { size: 16 }, Form::Chunked { size: 64 }, Form::Kernel];

/// The files store f32; everything here is f64 from those inputs on.
pub const STORED: f64 = 2e-6;

/// Asserts that `case` has in every form the outcome of the file `golden`, but for the tensors named in `without`;
/// `head_first` if the file has heads before tokens.
pub fn assert_equal<O: MemoryOperator>(case: &Case<O>, golden: &Golden, head_first: bool, without: &[&str]) {
    for form in FORMS {
        let outcome = case.clone().outcome(form);
        for gradient in golden.names().filter(|name| name.starts_with("d_") && !without.contains(name)) {
            assert!(outcome.names().any(|name| name == gradient), "`{gradient}` is compared with nothing");
        }
        for found in outcome.names().filter(|name| !without.contains(name)) {
            let wanted = match found {
                "o" | "d_q" | "d_k" | "d_v" | "d_beta" => {
                    values(golden.sequence(found, head_first, &case.output_cotangent.device()))
                }
                "final_z" => golden.values("final_state.z").to_vec(),
                _ => golden.values(found).to_vec(),
            };
            let error = largest_error(outcome.values(found), &wanted);
            assert!(error <= STORED, "{form:?}: `{found}` differs by {error:e}");
        }
    }
}
