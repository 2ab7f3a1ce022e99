//! JSON files as people publish them, field by field: an error names the file, the way to the field, and what was found there, and
//! fields that nobody asked for are left over to be looked at.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// An object of a file. Fields are taken out of it, so that what nobody asked for is left; `null` stands for what is left out.
#[derive(Default)]
pub struct Object {
    /// What stands before a field's name in messages: the file, and the fields that lead to this object.
    place: String,
    fields: Map<String, Value>,
}

/// What a field may be.
pub trait Field: Sized {
    /// In words.
    const EXPECTED: &'static str;
    /// None if it is something else.
    fn of(value: &Value) -> Option<Self>;
}

impl Object {
    /// The object that a file is.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if it is none.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let bad = |why: &str| Error::BadCheckpoint(format!("{file}: not the JSON that was expected: {why}"));
        match serde_json::from_slice(bytes).map_err(|e| bad(&e.to_string()))? {
            Value::Object(fields) => Ok(Self { place: format!("{file}: "), fields }),
            other => Err(bad(&format!("expected an object, found {}", shown(&other)))),
        }
    }

    /// A field with all that leads to it.
    #[must_use]
    pub fn label(&self, key: &str) -> String {
        format!("{}{key}", self.place)
    }

    /// Takes a field that may be left out.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if it is of another kind.
    pub fn take<T: Field>(&mut self, key: &str) -> Result<Option<T>> {
        match self.fields.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::of(&value).map(Some).ok_or_else(|| self.unlike(key, T::EXPECTED, &shown(&value))),
        }
    }

    /// Takes a field that must be there.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if it is not, or is of another kind.
    pub fn need<T: Field>(&mut self, key: &str) -> Result<T> {
        self.take(key)?.ok_or_else(|| self.unlike(key, T::EXPECTED, "none"))
    }

    /// Takes an object that may be left out.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if it is something else.
    pub fn object(&mut self, key: &str) -> Result<Option<Self>> {
        match self.fields.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Self { fields, ..self.empty(key) })),
            Some(other) => Err(self.unlike(key, "an object", &shown(&other))),
        }
    }

    /// What stands for an object that was left out.
    #[must_use]
    pub fn empty(&self, key: &str) -> Self {
        Self { place: self.label(key) + ".", fields: Map::new() }
    }

    /// Takes an object that must be there.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if it is not, or is something else.
    pub fn need_object(&mut self, key: &str) -> Result<Self> {
        self.object(key)?.ok_or_else(|| self.unlike(key, "an object", "none"))
    }

    /// A field, which stays.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key)
    }

    /// The names of all fields.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.fields.keys().cloned().collect()
    }

    /// What nobody has asked for.
    pub fn left(&self) -> impl Iterator<Item = (&str, &Value)> {
        let fields = self.fields.iter().filter(|(_, value)| !value.is_null());
        fields.map(|(key, value)| (key.as_str(), value))
    }

    fn unlike(&self, key: &str, expected: &str, found: &str) -> Error {
        Error::BadCheckpoint(format!("{}: expected {expected}, found {found}", self.label(key)))
    }
}

/// A value as messages show it.
#[must_use]
pub fn shown(value: &Value) -> String {
    if value.is_object() { "an object".into() } else { brief(value) }
}

/// A value, cut to what fits a message.
#[must_use]
pub fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Kinds of fields: type, words, and how a value is read as one.
macro_rules! fields {
    ($($type:ty, $expected:literal, $of:expr;)*) => {$(
        impl Field for $type {
            const EXPECTED: &'static str = $expected;
            fn of(value: &Value) -> Option<Self> {
                let of: fn(&Value) -> Option<Self> = $of;
                of(value)
            }
        }
    )*};
}

fields! {
    bool, "true or false", Value::as_bool;
    u64, "a whole number", Value::as_u64;
    u32, "a whole number", |value| value.as_u64()?.try_into().ok();
    usize, "a whole number", |value| value.as_u64()?.try_into().ok();
    f64, "a number", Value::as_f64;
    f32, "a number within the range of f32", |value| value.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
    String, "a string", |value| value.as_str().map(String::from);
    Value, "anything", |value| Some(value.clone());
    [f32; 3], "three numbers", |value| Vec::of(value)?.try_into().ok();
}

impl<T: Field> Field for Vec<T> {
    const EXPECTED: &'static str = "a list of numbers";
    fn of(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Object};

    fn object() -> Object {
        let json = br#"{"a": {"minus": -1, "half": 0.5, "far": 1e300, "two": [1, 2], "word": "x", "none": null}}"#;
        Object::parse("f.json", json).expect("an object").need_object("a").expect("an object")
    }

    fn wrong<T: Field>(key: &str) -> String {
        object().need::<T>(key).err().expect("expected this to be refused").to_string()
    }

    #[test]
    fn fields_are_what_they_say() {
        let mut a = object();
        assert_eq!(a.need::<f32>("minus").ok(), Some(-1.0));
        assert_eq!(a.need::<f64>("half").ok(), Some(0.5));
        assert_eq!(a.need::<Vec<u32>>("two").ok(), Some(vec![1, 2]));
        assert!(a.take::<usize>("none").is_ok_and(|field| field.is_none()));
        assert!(a.take::<usize>("nowhere").is_ok_and(|field| field.is_none()));
        // Taken is taken; what nobody asked for is left.
        assert!(a.take::<f64>("half").is_ok_and(|field| field.is_none()));
        assert_eq!(a.left().map(|(key, _)| key).collect::<Vec<_>>(), ["far", "word"]);
    }

    #[test]
    fn fields_of_another_kind_are_named() {
        assert_eq!(wrong::<usize>("minus"), "f.json: a.minus: expected a whole number, found -1");
        assert_eq!(wrong::<u32>("half"), "f.json: a.half: expected a whole number, found 0.5");
        assert_eq!(wrong::<f32>("far"), "f.json: a.far: expected a number within the range of f32, found 1e+300");
        assert_eq!(wrong::<[f32; 3]>("two"), "f.json: a.two: expected three numbers, found [1,2]");
        assert_eq!(wrong::<bool>("word"), "f.json: a.word: expected true or false, found \"x\"");
        assert_eq!(wrong::<bool>("none"), "f.json: a.none: expected true or false, found none");
        let error = object().need_object("word").err().expect("expected this to be refused");
        assert_eq!(error.to_string(), "f.json: a.word: expected an object, found \"x\"");
        let error = Object::parse("f.json", b"[]").err().expect("expected this to be refused");
        assert!(error.to_string().starts_with("f.json: not the JSON that was expected: "), "{error}");
    }
}
