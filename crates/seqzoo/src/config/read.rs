//! Reading a configuration: what is not given has its default, and what there is not is an error.

use crate::ConfigError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The configuration `defaults` of `subject`, replaced where `fields` says otherwise.
///
/// # Errors
///
/// If there is no such field, at any depth, or a field has a value of the wrong type or out of its range.
pub(crate) fn read<C: Serialize + DeserializeOwned>(
    subject: &str,
    defaults: &C,
    fields: Map<String, Value>,
) -> Result<C, ConfigError> {
    let mut all = to_value(defaults);
    for (name, value) in fields {
        if all.get(&name).is_none() {
            return Err(ConfigError::new(subject, unknown("", &name, &all)));
        }
        // One by one: a message of serde does not say which field it speaks of.
        all[&name] = value;
        let changed = C::deserialize(&all)
            .map_err(|error| ConfigError::new(subject, format!("the option `{name}`: {error}")))?;
        let taken = to_value(&changed);
        if let Some(problem) = superfluous(&name, &all[&name], &taken[&name]) {
            return Err(ConfigError::new(subject, problem));
        }
    }
    C::deserialize(&all).map_err(|error| ConfigError::new(subject, error.to_string()))
}

fn to_value<C: Serialize>(config: &C) -> Value {
    serde_json::to_value(config).expect("a configuration is JSON")
}

/// The first field of `given`, which stands at `path`, that is not among what was `taken` of it.
fn superfluous(path: &str, given: &Value, taken: &Value) -> Option<String> {
    match (given, taken) {
        (Value::Object(given), Value::Object(fields)) => {
            given.iter().find_map(|(name, value)| match fields.get(name) {
                None => Some(unknown(path, name, taken)),
                Some(field) => superfluous(&format!("{path}.{name}"), value, field),
            })
        }
        (Value::Array(given), Value::Array(taken)) => given
            .iter()
            .zip(taken)
            .enumerate()
            .find_map(|(index, (given, taken))| superfluous(&format!("{path}[{index}]"), given, taken)),
        _ => None,
    }
}

fn unknown(path: &str, name: &str, known: &Value) -> String {
    let known: Vec<&str> =
        known.as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str)).collect();
    let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
    format!("{place}there is no option `{name}`; its options are {}", known.join(", "))
}
