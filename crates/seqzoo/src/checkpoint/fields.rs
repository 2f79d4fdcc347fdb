//! The fields of a published `config.json`.

use super::json::standard;
use crate::config::Unrepeated;
use serde_json::{Map, Value};

/// A sentence that says what is wrong.
pub(super) type Problem = String;

/// The fields of a `config.json` as they are written.
pub(super) type Written = Map<String, Value>;

/// More layers than this are taken for a mistake.
const MAX_LAYERS: usize = 1 << 14;

/// The fields of a `config.json`, or of an object in it. Those that nobody asks for are ignored.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// The fields in the text of a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let Unrepeated(value) = serde_json::from_str(&standard(text)).map_err(|error| error.to_string())?;
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err("it is not a JSON object".into()),
        }
    }

    /// The value of `name` unless it is absent or null.
    pub fn given(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether `name` is there, if only as null.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A whole number of at least 0.
    pub fn whole(&self, name: &str, default: usize) -> Result<usize, Problem> {
        self.read(name, default, "a whole number", as_whole)
    }

    /// A whole number of at least 0, or null.
    pub fn whole_or_null(&self, name: &str) -> Result<Option<usize>, Problem> {
        match self.given(name) {
            Some(_) => self.whole(name, 0).map(Some),
            None => Ok(None),
        }
    }

    /// A number, which may be infinite.
    pub fn number(&self, name: &str, default: f64) -> Result<f64, Problem> {
        self.read(name, default, "a number", as_number)
    }

    /// A number or null.
    pub fn number_or_null(&self, name: &str) -> Result<Option<f64>, Problem> {
        match self.given(name) {
            Some(_) => self.number(name, 0.0).map(Some),
            None => Ok(None),
        }
    }

    /// Two numbers, which may be infinite.
    pub fn numbers(&self, name: &str, default: [f64; 2]) -> Result<[f64; 2], Problem> {
        self.read(name, default, "a list of two numbers", |value| match value.as_array()?.as_slice() {
            [first, second] => Some([as_number(first)?, as_number(second)?]),
            _ => None,
        })
    }

    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Problem> {
        self.read(name, default, "true or false", Value::as_bool)
    }

    pub fn text(&self, name: &str, default: &str) -> Result<String, Problem> {
        self.read(name, default.into(), "a text", |value| value.as_str().map(String::from))
    }

    fn read<T>(
        &self,
        name: &str,
        default: T,
        wanted: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, Problem> {
        match self.0.get(name) {
            None => Ok(default),
            Some(value) => read(value).ok_or_else(|| format!("`{name}` is {value}, but {wanted} is wanted")),
        }
    }

    /// An error if `name` is there, is not null, and not `only`: what a layer of this library does not have.
    pub fn only(&self, name: &str, only: impl Into<Value>) -> Result<(), Problem> {
        let only = only.into();
        match self.given(name) {
            Some(value) if *value != only => Err(format!(
                "`{name}` is {value}, which this library cannot compute; it can where it is {only}"
            )),
            _ => Ok(()),
        }
    }

    /// An error unless `name` is absent or `silu`, which is also called `swish`.
    pub fn only_silu(&self, name: &str) -> Result<(), Problem> {
        match self.text(name, "silu")?.as_str() {
            "silu" | "swish" => Ok(()),
            other => Err(format!(
                "`{name}` is \"{other}\", which this library cannot compute; it can where it is \"silu\""
            )),
        }
    }

    /// `num_hidden_layers`, of which there are not more than any model has.
    pub fn layers(&self, default: usize) -> Result<usize, Problem> {
        let layers = self.whole("num_hidden_layers", default)?;
        match layers {
            1..=MAX_LAYERS => Ok(layers),
            _ => Err(format!("`num_hidden_layers` is {layers}, but 1 to {MAX_LAYERS} are wanted")),
        }
    }

    /// The objects in the list `name`; one object stands for a list of one.
    pub fn objects(&self, name: &str) -> Result<Vec<Self>, Problem> {
        let objects = match self.given(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(objects)) => objects.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        let object = |value: &Value| match value {
            Value::Object(fields) => Ok(Self(fields.clone())),
            other => Err(format!("`{name}` holds {other}, but an object is wanted")),
        };
        objects.iter().map(object).collect()
    }

    /// The object `name`, unless it is absent or null.
    pub fn object(&self, name: &str) -> Result<Option<Self>, Problem> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Self(fields.clone()))),
            Some(other) => Err(format!("`{name}` is {other}, but an object is wanted")),
        }
    }

    /// The texts in the list `name`, unless it is absent or null.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Problem> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let text = |value: &Value| value.as_str().map(String::from);
        let texts = value.as_array().and_then(|list| list.iter().map(text).collect());
        texts.map(Some).ok_or_else(|| format!("`{name}` is {value}, but a list of texts is wanted"))
    }

    /// A whole number, or a list of them; none where it is absent or null.
    pub fn whole_or_wholes(&self, name: &str) -> Result<Vec<usize>, Problem> {
        match self.given(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(_)) => self.wholes(name),
            Some(_) => self.whole(name, 0).map(|number| vec![number]),
        }
    }

    /// The whole numbers in the list `name`, which must be there.
    pub fn wholes(&self, name: &str) -> Result<Vec<usize>, Problem> {
        let list = self.given(name).and_then(Value::as_array);
        let numbers = list.and_then(|list| list.iter().map(as_whole).collect());
        numbers.ok_or_else(|| match self.0.get(name) {
            Some(value) => format!("`{name}` is {value}, but a list of whole numbers is wanted"),
            None => format!("`{name}` is missing"),
        })
    }
}

/// A whole number, which Python may have written as a float.
fn as_whole(value: &Value) -> Option<usize> {
    let whole = |number: &f64| number.fract() == 0.0 && (0.0..9e15).contains(number);
    let float = || value.as_f64().filter(whole).map(|number| number as usize);
    value.as_u64().map(|number| number as usize).or_else(float)
}

fn as_number(value: &Value) -> Option<f64> {
    let named = || value.as_object()?.get("__float__")?.as_str();
    value.as_f64().or_else(|| match named()? {
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    })
}

/// `number` as it is written: an infinite one as the object that transformers writes for it.
pub(super) fn written(number: f64) -> Value {
    match number.is_infinite() {
        true => {
            let name = if number > 0.0 { "Infinity" } else { "-Infinity" };
            serde_json::json!({ "__float__": name })
        }
        false => number.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_field_is_read_or_has_its_default() {
        let fields = fields(
            r#"{"a": 2.0, "b": null, "c": [0, Infinity], "d": {"__float__": "-Infinity"}, "e": [3, 4]}"#,
        );
        assert_eq!(fields.whole("a", 7), Ok(2));
        assert_eq!(fields.whole("z", 7), Ok(7));
        assert_eq!(fields.whole_or_null("b"), Ok(None));
        assert_eq!(fields.whole_or_wholes("b"), Ok(vec![]));
        assert_eq!(fields.whole_or_wholes("a"), Ok(vec![2]));
        assert_eq!(fields.whole_or_wholes("e"), Ok(vec![3, 4]));
        assert_eq!(fields.numbers("c", [0.0; 2]), Ok([0.0, f64::INFINITY]));
        assert_eq!(fields.number("d", 0.0), Ok(f64::NEG_INFINITY));
    }

    #[test]
    fn a_wrong_type_is_named_with_its_value() {
        let fields = fields(r#"{"a": -2, "b": null, "c": [1, 2, 3], "d": "gelu", "e": 1.5}"#);
        assert_eq!(fields.whole("a", 7).unwrap_err(), "`a` is -2, but a whole number is wanted");
        assert_eq!(fields.flag("b", true).unwrap_err(), "`b` is null, but true or false is wanted");
        assert_eq!(
            fields.numbers("c", [0.0; 2]).unwrap_err(),
            "`c` is [1,2,3], but a list of two numbers is wanted"
        );
        assert!(fields.only_silu("d").unwrap_err().contains("`d` is \"gelu\""));
        assert!(fields.only("e", false).unwrap_err().contains("`e` is 1.5"));
        assert!(fields.whole("e", 1).is_err());
    }

    #[test]
    fn what_is_no_object_or_gives_a_field_twice_is_refused() {
        for text in ["[1]", "{", "{\"a\": 1, \"a\": 2}", "\u{0}"] {
            assert!(Fields::parse(text.as_bytes()).is_err());
        }
        assert!(Fields::parse(&[0xff]).is_err());
    }
}
