//! Which JSON schemas a constraint enforces. Whatever it would not enforce is refused by name.

use serde_json::Value;

use super::DecodeError;

/// Keywords that are enforced.
const ENFORCED: [&str; 26] = [
    "$ref",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "oneOf",
    "pattern",
    "prefixItems",
    "properties",
    "required",
    "type",
];
/// Keywords that say nothing about what is valid, and where definitions are kept.
const REMARKS: [&str; 12] = [
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];
/// Deepest nesting.
const DEEPEST: usize = 64;

/// # Errors
/// [`DecodeError::Grammar`] that names a keyword that is not enforced, or a place that is not a schema.
pub(super) fn check(schema: &Value) -> Result<(), DecodeError> {
    walk(schema, "#", 0)
}

fn walk(schema: &Value, path: &str, depth: usize) -> Result<(), DecodeError> {
    let wrong = |reason: String| Err(DecodeError::grammar("JSON schema", reason));
    if depth > DEEPEST {
        return wrong(format!("it is nested more than {DEEPEST} deep"));
    }
    let keywords = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(keywords) => keywords,
        _ => {
            return wrong(format!(
                "`{}` is neither an object nor a truth value",
                short(path)
            ));
        }
    };
    let below = |name: &str, value: &Value| walk(value, &format!("{path}/{name}"), depth + 1);
    for (name, value) in keywords {
        let known = ENFORCED.contains(&name.as_str()) || REMARKS.contains(&name.as_str());
        if !known {
            return wrong(format!(
                "`{}` at `{}` cannot be enforced: leave it out, or check the answer afterwards",
                short(name),
                short(path)
            ));
        }
        match (name.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(map)) => {
                for (key, value) in map {
                    below(&format!("{name}/{key}"), value)?;
                }
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems" | "items", Value::Array(list)) => {
                list.iter().try_for_each(|value| below(name, value))?;
            }
            ("items" | "additionalItems" | "additionalProperties", value) => below(name, value)?,
            (
                "properties" | "$defs" | "definitions" | "allOf" | "anyOf" | "oneOf"
                | "prefixItems",
                _,
            ) => {
                return wrong(format!(
                    "`{name}` at `{}` has a value of the wrong type",
                    short(path)
                ));
            }
            ("$ref", Value::String(target)) if target.starts_with('#') => {}
            ("$ref", _) => {
                return wrong(format!(
                    "`$ref` at `{}` leads out of the schema",
                    short(path)
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn short(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
