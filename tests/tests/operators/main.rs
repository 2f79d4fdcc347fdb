//! The verification ladder of the operators.

mod adamw;
mod attention;
mod causal_conv;
mod cross_entropy;
mod delta_rule;
mod diagonal_ssm;
mod entrances;
mod hopfield;
mod linear_attention;
mod linear_scan;
mod long_conv;
mod neural_memory;
mod selective_scan;
mod sigmoid_attention;
mod token_wise;
mod ttt;
