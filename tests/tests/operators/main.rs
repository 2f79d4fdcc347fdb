//! The verification ladder of the operators.

mod attention;
mod causal_conv;
mod linear_attention;
