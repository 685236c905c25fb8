//! A recipe's text and what is read from it whatever it is a recipe of: strings, lists and tables, each with its place for errors.

use std::ops::Range;
use std::path::Path;

use larder_store::Sha256Digest;
use sha2::{Digest as _, Sha256};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::values::ValueError;
use super::{Place, Problem, RecipeError};

pub(super) type Value<'a> = Spanned<DeValue<'a>>;
/// A string of the recipe and where it stands.
pub(super) type Text<'a> = (&'a str, Range<usize>);
/// Names and values of a table of strings.
pub(super) type Pairs<'a> = Vec<(Text<'a>, Text<'a>)>;

/// The recipe's text, for errors that say where.
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn document(&self) -> Result<Spanned<DeTable<'a>>, RecipeError> {
        DeTable::parse(self.text).map_err(|error| {
            let reason = error.message().trim().replace('\n', ", ");
            self.error(error.span().unwrap_or(0..0), Problem::NotToml { reason })
        })
    }

    /// The digest of the text.
    pub(super) fn digest(&self) -> Sha256Digest {
        Sha256Digest::from_bytes(Sha256::digest(self.text).into())
    }

    pub(super) fn error(&self, range: Range<usize>, problem: Problem) -> RecipeError {
        RecipeError::new(self.file, Some(Place::new(self.text, range)), problem)
    }

    pub(super) fn parsed<T>(
        &self,
        table: &DeTable<'_>,
        key: &'static str,
        parse: fn(&str) -> Result<T, ValueError>,
    ) -> Result<Option<T>, RecipeError> {
        let Some(value) = table.get(key) else { return Ok(None) };
        let (text, range) = self.string(key, value)?;
        parse(text).map(Some).map_err(|source| self.bad(key, range, source))
    }

    pub(super) fn pairs<'t>(
        &self,
        table: &'t DeTable<'_>,
        key: &'static str,
    ) -> Result<Option<Pairs<'t>>, RecipeError> {
        let Some(value) = table.get(key) else { return Ok(None) };
        self.table(key, value)?
            .iter()
            .map(|(name, value)| {
                let full = format!("{key}.{}", name.get_ref());
                Ok(((name.get_ref().as_ref(), name.span()), self.string(&full, value)?))
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    pub(super) fn strings<'t>(
        &'t self,
        key: &'static str,
        value: &'t Value<'_>,
    ) -> Result<impl Iterator<Item = Result<Text<'t>, RecipeError>>, RecipeError> {
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong_type(key, "a list of strings", value));
        };
        Ok(items.iter().map(move |item| self.string(&format!("{key}[]"), item)))
    }

    pub(super) fn string<'t>(&self, key: &str, value: &'t Value<'_>) -> Result<Text<'t>, RecipeError> {
        let text = value.get_ref().as_str().ok_or_else(|| self.wrong_type(key, "a string", value))?;
        Ok((text, value.span()))
    }

    pub(super) fn boolean(&self, key: &str, value: &Value<'_>) -> Result<bool, RecipeError> {
        value.get_ref().as_bool().ok_or_else(|| self.wrong_type(key, "true or false", value))
    }

    /// Refuses keys that a table doesn't have; `shown` is its name as an error shows it.
    pub(super) fn only_keys(
        &self,
        shown: &str,
        table: &DeTable<'_>,
        keys: &'static [&'static str],
    ) -> Result<(), RecipeError> {
        let Some((key, _)) = table.iter().find(|(key, _)| !keys.contains(&key.get_ref().as_ref())) else {
            return Ok(());
        };
        let name = key.get_ref().to_string();
        let nearest = nearest(&name, keys);
        Err(self.error(key.span(), Problem::UnknownKey { table: shown.to_owned(), key: name, keys, nearest }))
    }

    /// A whole number of 64 bits.
    pub(super) fn integer(&self, key: &str, value: &Value<'_>) -> Result<i64, RecipeError> {
        let expected = "a whole number of 64 bits";
        let number = value.get_ref().as_integer().ok_or_else(|| self.wrong_type(key, expected, value))?;
        i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| self.wrong_type(key, expected, value))
    }

    /// The tables of a list.
    pub(super) fn tables<'t, 'i>(
        &self,
        key: &'static str,
        value: &'t Value<'i>,
    ) -> Result<Vec<(&'t DeTable<'i>, Range<usize>)>, RecipeError> {
        let items = value.get_ref().as_array().ok_or_else(|| self.wrong_type(key, "a list of tables", value))?;
        items.iter().map(|item| Ok((self.table(&format!("{key}[]"), item)?, item.span()))).collect()
    }

    pub(super) fn table<'t, 'i>(&self, key: &str, value: &'t Value<'i>) -> Result<&'t DeTable<'i>, RecipeError> {
        value.get_ref().as_table().ok_or_else(|| self.wrong_type(key, "a table", value))
    }

    pub(super) fn without_nul(&self, key: &str, text: &str, range: Range<usize>) -> Result<String, RecipeError> {
        if text.contains('\0') {
            return Err(self.bad(key, range, ValueError::Nul));
        }
        Ok(text.to_owned())
    }

    pub(super) fn wrong_type(&self, key: &str, expected: &'static str, value: &Value<'_>) -> RecipeError {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(value.span(), Problem::WrongType { key: key.to_owned(), expected, found })
    }

    pub(super) fn bad(&self, key: &str, range: Range<usize>, value: ValueError) -> RecipeError {
        self.error(range, Problem::BadValue { key: key.to_owned(), value })
    }
}

/// The candidate that is nearest to a misspelled word, if one is near.
pub(super) fn nearest(word: &str, candidates: &[&'static str]) -> Option<&'static str> {
    let lower = word.to_lowercase().replace('_', "-");
    candidates
        .iter()
        .map(|&candidate| (strsim::damerau_levenshtein(&lower, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}
