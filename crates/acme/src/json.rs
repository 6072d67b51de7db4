//! How what servers say is read: within bounds, and without stumbling over what is odd and does no harm.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The largest number of identifiers, authorizations, challenges and the like in one answer. The CAs' own limit is
/// 100 names in a certificate; some private ones allow more.
pub(crate) const MAX_ITEMS: usize = 1000;

/// `null` is as good as missing: some servers write it for empty lists.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A list that may be missing or `null`, of at most [`MAX_ITEMS`].
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let items: Vec<T> = or_default(deserializer)?;
    if items.len() > MAX_ITEMS {
        return Err(serde::de::Error::custom(format_args!("a list has more than {MAX_ITEMS} entries")));
    }
    Ok(items)
}

/// A URL or a moment (RFC 3339) that is not needed: what is none (`""`, `null`, a number) is taken as missing, because
/// some servers write odd ones.
pub(crate) fn optional_parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
{
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.as_ref().and_then(Value::as_str).and_then(|text| text.parse().ok()))
}

/// A text that is not needed: what is none is taken as missing.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| if let Value::String(text) = value { Some(text) } else { None }))
}
