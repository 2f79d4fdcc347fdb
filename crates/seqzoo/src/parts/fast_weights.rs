//! What the options of layers have in common whose heads hold networks that learn.

use crate::ConfigError;
use crate::config::{check_channels, check_numbers};

/// More layers than this are taken for a mistake.
const MAX_DEPTH: usize = 16;

/// Longer chunks than this are taken for a mistake: a place in one survives half precision, which has whole numbers up to
/// 256.
const MAX_CHUNK: usize = 256;

/// The channels of each of `num_heads` heads: `head_dim`, or its share of `d_model`.
pub(crate) fn head_width(
    layer: &str,
    d_model: usize,
    num_heads: usize,
    head_dim: Option<usize>,
) -> Result<usize, ConfigError> {
    let width = match head_dim {
        Some(width) => width,
        None => {
            ConfigError::unless(d_model.is_multiple_of(num_heads), layer, || {
                format!(
                    "num_heads = {num_heads} does not divide d_model = {d_model}; change one, or set head_dim"
                )
            })?;
            d_model / num_heads
        }
    };
    check_channels(layer, "head_dim", width)?;
    check_channels(layer, "the number of channels of all heads", num_heads.saturating_mul(width))?;
    Ok(width)
}

/// The matrices of networks of `depth` layers from `width` channels to as many, `[H, in, out]` each.
pub(crate) fn matrix_shapes(
    layer: &str,
    num_heads: usize,
    width: usize,
    depth: usize,
    expand_hidden: f64,
) -> Result<Vec<[usize; 3]>, ConfigError> {
    ConfigError::unless((1..=MAX_DEPTH).contains(&depth), layer, || {
        format!("depth = {depth}, but from 1 to {MAX_DEPTH} layers of the memory are wanted")
    })?;
    let hidden = (width as f64 * expand_hidden).floor() as usize;
    ConfigError::unless(depth == 1 || (expand_hidden.is_finite() && hidden > 0), layer, || {
        format!(
            "expand_hidden = {expand_hidden} makes {hidden} channels of the {width} of a head, but at least 1 is wanted"
        )
    })?;
    let inner = |edge: usize| if edge == 0 || edge == depth { width } else { hidden };
    let shapes: Vec<_> = (0..depth).map(|edge| [num_heads, inner(edge), inner(edge + 1)]).collect();
    for shape in &shapes {
        check_numbers(layer, "the state of each sequence", shape)?;
    }
    Ok(shapes)
}

/// Says if `tokens`, of a chunk or a segment, cannot be.
pub(crate) fn check_tokens(layer: &str, name: &str, tokens: usize) -> Result<(), ConfigError> {
    ConfigError::unless((1..=MAX_CHUNK).contains(&tokens), layer, || {
        format!("{name} = {tokens}, but from 1 to {MAX_CHUNK} tokens are wanted")
    })
}
