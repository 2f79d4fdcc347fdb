//! JSON as Python writes it: `Infinity`, `-Infinity` and `NaN` are numbers there.

/// The same text with each of these numbers as the object that newer versions of transformers write,
/// `{"__float__": "Infinity"}`.
pub(super) fn standard(text: &str) -> String {
    let mut standard = String::with_capacity(text.len());
    let (mut rest, mut in_string) = (text, false);
    while let Some(next) = rest.chars().next() {
        let number = ["-Infinity", "Infinity", "NaN"].into_iter().find(|number| rest.starts_with(number));
        let length = match (in_string, next, number) {
            (false, _, Some(number)) => {
                standard += &format!("{{\"__float__\": \"{number}\"}}");
                rest = &rest[number.len()..];
                continue;
            }
            // What is escaped does not end the string.
            (true, '\\', _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (_, '"', _) => {
                in_string = !in_string;
                1
            }
            _ => next.len_utf8(),
        };
        standard += &rest[..length];
        rest = &rest[length..];
    }
    standard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_lacks_become_objects() {
        assert_eq!(
            standard(r#"{"a": [0.0, Infinity], "b": -Infinity}"#),
            r#"{"a": [0.0, {"__float__": "Infinity"}], "b": {"__float__": "-Infinity"}}"#
        );
    }

    #[test]
    fn strings_are_left_alone() {
        for text in [r#"{"NaN": "Infinity \" NaN \\", "é": 1}"#, r#"{"a"#, "\"\\", "\"\\é"] {
            assert_eq!(standard(text), text);
        }
    }
}
