//! Well-formed JSON and TOML with fields changed, removed, renamed, repeated.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value};

/// How a tree is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Syntax {
    Json,
    Toml,
}

/// A string that begins with this is written without quotes: numbers that are none, and other text.
const RAW: char = '\u{1}';

#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Remove,
    Rename(String),
    Repeat,
}

/// Values that somebody may write where another is wanted.
fn absurd() -> impl Strategy<Value = Value> {
    let numbers = [
        0,
        1,
        -1,
        2,
        3,
        7,
        24,
        255,
        1 << 16,
        1 << 24,
        (1 << 24) + 1,
        1 << 31,
        1 << 32,
        1 << 40,
        1 << 48,
        1 << 53,
        (1 << 62) + 1,
        i64::MAX,
        i64::MIN,
    ];
    let raw = [
        "18446744073709551615",
        "18446744073709551616",
        "9223372036854775808",
        "1e300",
        "-1e300",
        "1e400",
        "1e-320",
        "-0.0",
        "0.99999999",
        "NaN",
        "nan",
        "inf",
        "-inf",
        "Infinity",
        "null",
        "1e40",
        "0.5",
        "3.0",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "1979-05-27",
        "0x7fffffffffffffff",
        "[1",
        "\"",
        "{\"a\":",
    ];
    let texts = [
        "",
        "none",
        "NaN",
        "a",
        "../../x",
        "F64",
        "BF16",
        "F16",
        "U8",
        "BOOL",
        "I64",
        "F4",
        "F8_E4M3",
        "Uniform",
        "softmax_attention",
        "kind",
        "\u{202e}",
        "\n",
        "1",
    ];
    prop_oneof![
        4 => prop::sample::select(numbers.to_vec()).prop_map(Value::from),
        3 => prop::sample::select(raw.to_vec()).prop_map(|text| Value::from(format!("{RAW}{text}"))),
        2 => prop::sample::select(texts.to_vec()).prop_map(Value::from),
        1 => any::<f64>().prop_map(|number| Value::from(format!("{RAW}{number}"))),
        1 => any::<i64>().prop_map(Value::from),
        1 => prop::sample::select(vec![Value::Null, true.into(), Value::Array(vec![]), Value::Object(Map::new())]),
        1 => (1usize..400).prop_map(|count| Value::Array(vec![1.into(); count])),
        1 => (1usize..3000).prop_map(|depth| Value::from(format!("{RAW}{}", "[".repeat(depth)))),
        1 => (1usize..300).prop_map(|depth| Value::from(format!("{RAW}{}{}", "[".repeat(depth), "]".repeat(depth)))),
        1 => (1usize..300)
            .prop_map(|depth| Value::from(format!("{RAW}{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)))),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => absurd().prop_map(Change::Replace),
        1 => Just(Change::Remove),
        1 => "[a-z_\\.\"]{0,6}".prop_map(Change::Rename),
        1 => Just(Change::Repeat),
    ]
}

/// `tree` with one to three changes, written in `syntax`.
pub fn changed(tree: Value, syntax: Syntax) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((any::<Index>(), change()), 1..4).prop_map(move |changes| {
        let mut tree = tree.clone();
        for (at, change) in changes {
            let mut left = at.index(count(&tree));
            apply(&mut tree, &mut left, &change);
        }
        let mut text = String::new();
        match (&tree, syntax) {
            (Value::Object(fields), Syntax::Toml) => {
                for (name, value) in fields {
                    text += &format!("{} = ", Value::from(name.trim_end_matches(RAW)));
                    write(&mut text, value, syntax);
                    text.push('\n');
                }
            }
            _ => write(&mut text, &tree, syntax),
        }
        text.into_bytes()
    })
}

/// The places of a tree below its root, and at least 1.
fn count(tree: &Value) -> usize {
    fn below(tree: &Value) -> usize {
        match tree {
            Value::Array(items) => items.iter().map(|item| 1 + below(item)).sum(),
            Value::Object(fields) => fields.values().map(|item| 1 + below(item)).sum(),
            _ => 0,
        }
    }
    below(tree).max(1)
}

/// Applies `change` at the place that is `left` places ahead, and says whether it has been reached.
fn apply(tree: &mut Value, left: &mut usize, change: &Change) -> bool {
    match tree {
        Value::Array(items) => {
            for index in 0..items.len() {
                if *left == 0 {
                    match change {
                        Change::Replace(value) => items[index] = value.clone(),
                        Change::Remove | Change::Rename(_) => drop(items.remove(index)),
                        Change::Repeat => items.insert(index, items[index].clone()),
                    }
                    return true;
                }
                *left -= 1;
                if apply(&mut items[index], left, change) {
                    return true;
                }
            }
            false
        }
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                if *left == 0 {
                    let value = fields.get(&name).cloned().expect("the name is one of the fields'");
                    match change {
                        Change::Replace(value) => drop(fields.insert(name, value.clone())),
                        Change::Remove => drop(fields.shift_remove(&name)),
                        Change::Rename(new) => {
                            fields.shift_remove(&name);
                            fields.insert(new.clone(), value);
                        }
                        // Written under the same name twice.
                        Change::Repeat => drop(fields.insert(format!("{name}{RAW}"), value)),
                    }
                    return true;
                }
                *left -= 1;
                if fields.get_mut(&name).is_some_and(|field| apply(field, left, change)) {
                    return true;
                }
            }
            false
        }
        _ => false,
    }
}

fn write(text: &mut String, tree: &Value, syntax: Syntax) {
    match tree {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                write(text, item, syntax);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (index, (name, item)) in fields.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                let equals = if syntax == Syntax::Json { ": " } else { " = " };
                *text += &format!("{}{equals}", Value::from(name.trim_end_matches(RAW)));
                write(text, item, syntax);
            }
            text.push('}');
        }
        Value::String(string) => match string.strip_prefix(RAW) {
            Some(raw) => text.push_str(raw),
            None => *text += &tree.to_string(),
        },
        _ => *text += &tree.to_string(),
    }
}
