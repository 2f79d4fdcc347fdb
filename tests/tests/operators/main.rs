//! The verification ladder of the operators.

mod attention;
mod causal_conv;
mod delta_rule;
mod entrances;
mod linear_attention;
mod long_conv;
