//! Persistent memory: keys and values of no token.

use crate::ops::attention::Prefix;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// Learned keys and values that every token sees: persistent memory.
#[derive(Module, Debug)]
pub struct PersistentTokens {
    /// `[N, HK, d]`.
    pub keys: Param<Tensor<3>>,
    /// `[N, HK, d]`.
    pub values: Param<Tensor<3>>,
}

impl PersistentTokens {
    /// As the operator takes them; `query` without positions, as they have none.
    pub(super) fn prefix(&self, query: Tensor<4>) -> Prefix {
        Prefix {
            query: Some(query),
            keys: self.keys.val().unsqueeze(),
            values: self.values.val().unsqueeze(),
        }
    }
}
