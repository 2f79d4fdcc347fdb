//! The floats of a configuration, at any depth.

use crate::ConfigError;
use serde::Serialize;
use serde::ser::{
    Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use std::fmt::{Debug, Display, Formatter};

/// Checks that every float in the configuration of `subject` is one that `f32` holds: layers compute in it, and files
/// hold no other numbers. NaN and infinities are none, 1e300 would become one, and 1e-300 would become 0.
///
/// # Errors
///
/// A sentence that names the first option that is not, by its path.
pub fn check_floats<C: Serialize>(subject: &str, config: &C) -> Result<(), ConfigError> {
    config.serialize(Walk(String::new())).map_err(|Problem(problem)| ConfigError::new(subject, problem))
}

/// Looks at every float below the path, and does nothing else.
#[derive(Clone)]
struct Walk(String);

impl Walk {
    fn to(&self, name: impl Display) -> Self {
        Self(if self.0.is_empty() { name.to_string() } else { format!("{}.{name}", self.0) })
    }

    fn float(self, value: f64) -> Result<(), Problem> {
        let narrow = value as f32;
        let wanted = if !value.is_finite() {
            "a finite number is wanted"
        } else if !narrow.is_finite() {
            "at most 3.4e38, the largest f32, is wanted"
        } else if value != 0.0 && narrow.abs() < f32::MIN_POSITIVE {
            "0 or at least 1.2e-38, the smallest f32, is wanted"
        } else {
            return Ok(());
        };
        Err(Problem(format!("{} = {value:?}, but {wanted}", self.0)))
    }
}

#[derive(Debug)]
struct Problem(String);

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl Error for Problem {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// The entries of a sequence, map or struct.
struct Entries {
    place: Walk,
    /// How many entries of a sequence have passed.
    count: usize,
    /// The last key of a map.
    key: String,
}

impl Entries {
    fn of(place: Walk) -> Result<Self, Problem> {
        Ok(Self { place, count: 0, key: String::new() })
    }

    fn next<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Problem> {
        let place = Walk(format!("{}[{}]", self.place.0, self.count));
        self.count += 1;
        value.serialize(place)
    }
}

macro_rules! passes {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, _: $type) -> Result<(), Problem> {
            Ok(())
        })*
    };
}

impl Serializer for Walk {
    type Ok = ();
    type Error = Problem;
    type SerializeSeq = Entries;
    type SerializeTuple = Entries;
    type SerializeTupleStruct = Entries;
    type SerializeTupleVariant = Entries;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    passes! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_char: char,
        serialize_str: &str, serialize_bytes: &[u8], serialize_unit_struct: &'static str
    }

    fn serialize_f32(self, value: f32) -> Result<(), Problem> {
        self.float(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Problem> {
        self.float(value)
    }

    fn serialize_none(self) -> Result<(), Problem> {
        Ok(())
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Problem> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Problem> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Problem> {
        Ok(())
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Problem> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Problem> {
        value.serialize(self.to(variant))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Entries, Problem> {
        Entries::of(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Entries, Problem> {
        Entries::of(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Entries, Problem> {
        Entries::of(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Entries, Problem> {
        Entries::of(self.to(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries, Problem> {
        Entries::of(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries, Problem> {
        Entries::of(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Entries, Problem> {
        Entries::of(self.to(variant))
    }
}

macro_rules! in_order {
    ($($trait:ident: $method:ident),*) => {
        $(impl $trait for Entries {
            type Ok = ();
            type Error = Problem;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Problem> {
                self.next(value)
            }

            fn end(self) -> Result<(), Problem> {
                Ok(())
            }
        })*
    };
}

in_order! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
}

macro_rules! by_name {
    ($($trait:ident),*) => {
        $(impl $trait for Entries {
            type Ok = ();
            type Error = Problem;

            fn serialize_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), Problem> {
                value.serialize(self.place.to(name))
            }

            fn end(self) -> Result<(), Problem> {
                Ok(())
            }
        })*
    };
}

by_name! { SerializeStruct, SerializeStructVariant }

impl SerializeMap for Entries {
    type Ok = ();
    type Error = Problem;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Problem> {
        let key = serde_json::to_value(key).map_err(Problem::custom)?;
        self.key = key.as_str().map_or_else(|| key.to_string(), String::from);
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Problem> {
        value.serialize(self.place.to(&self.key))
    }

    fn end(self) -> Result<(), Problem> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Nested {
        plain: f64,
        maybe: Option<f64>,
        pair: (f32, f64),
        kind: Kind,
    }

    #[derive(Serialize)]
    enum Kind {
        Of { std: f64 },
    }

    fn nested() -> Nested {
        Nested { plain: 0.0, maybe: None, pair: (1.0, -1.0), kind: Kind::Of { std: 1e-38 * 2.0 } }
    }

    fn message(config: &Nested) -> String {
        check_floats("layer", config).unwrap_err().to_string()
    }

    #[test]
    fn every_float_is_found_with_its_path() {
        assert!(check_floats("layer", &nested()).is_ok());
        assert_eq!(
            message(&Nested { maybe: Some(f64::NAN), ..nested() }),
            "layer: maybe = NaN, but a finite number is wanted"
        );
        assert!(message(&Nested { pair: (1.0, f64::INFINITY), ..nested() }).contains("pair[1] = inf, but"));
        let kind = Kind::Of { std: f64::NEG_INFINITY };
        assert!(message(&Nested { kind, ..nested() }).contains("kind.Of.std = -inf, but a finite number"));
    }

    #[test]
    fn numbers_that_f32_lacks_are_refused() {
        for (value, sentence) in [
            (1e300, "plain = 1e300, but at most 3.4e38, the largest f32, is wanted"),
            (-1e-60, "plain = -1e-60, but 0 or at least 1.2e-38, the smallest f32, is wanted"),
        ] {
            assert!(message(&Nested { plain: value, ..nested() }).contains(sentence));
        }
    }
}
