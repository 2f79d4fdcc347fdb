//! What the examples share that run a model from a directory: a checkpoint of either format, its vocabulary, and text as it
//! comes.
#![recursion_limit = "256"]

pub mod checkpoint;
pub mod text;
pub mod vocabulary;

/// Numbers in a list as `1,2,3`; no text is no numbers.
///
/// # Errors
///
/// If something between the commas is no whole number.
pub fn numbers(text: &str) -> Result<Vec<usize>, String> {
    let parts = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
    let number = |part: &str| {
        part.parse().map_err(|_| format!("`{part}` is no token; tokens are whole numbers, as in 1,2,3"))
    };
    parts.map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn a_list_of_numbers_is_read() {
        assert_eq!(numbers("1, 2,3"), Ok(vec![1, 2, 3]));
        assert_eq!(numbers(" "), Ok(vec![]));
        for wrong in ["1,,2", "-1", "a", "1.5", "99999999999999999999999", "1,"] {
            assert!(numbers(wrong).unwrap_err().contains("is no token"), "{wrong}");
        }
    }
}
