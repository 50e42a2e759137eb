//! Tool calls against their definitions, by rules: exact, and a baseline for the model.

use serde::Serialize;
use serde_json::{Map, Value};

/// Deepest nesting of arguments that is looked into.
const DEEPEST: usize = 32;

/// What a rule finds wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// No tool has this name.
    UnknownFunction {
        /// The name that was called.
        function: String,
    },
    /// The tool has no such argument.
    UnknownArgument {
        /// The tool.
        function: String,
        /// The argument.
        argument: String,
    },
    /// A required argument is not there.
    MissingArgument {
        /// The tool.
        function: String,
        /// The argument.
        argument: String,
    },
    /// The value is of another type.
    WrongType {
        /// The tool.
        function: String,
        /// The argument, with the path inside it.
        argument: String,
        /// The type in the definition.
        wanted: String,
        /// The type of the value.
        found: String,
    },
    /// The value is not among those that are listed.
    NotInEnum {
        /// The tool.
        function: String,
        /// The argument, with the path inside it.
        argument: String,
    },
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownFunction { function } => write!(f, "there is no tool `{function}`"),
            Self::UnknownArgument { function, argument } => {
                write!(f, "`{function}` has no argument `{argument}`")
            }
            Self::MissingArgument { function, argument } => {
                write!(f, "`{function}` needs the argument `{argument}`")
            }
            Self::WrongType {
                function,
                argument,
                wanted,
                found,
            } => {
                write!(f, "`{argument}` of `{function}` is {found}, not {wanted}")
            }
            Self::NotInEnum { function, argument } => {
                write!(
                    f,
                    "the value of `{argument}` of `{function}` is not one of those listed"
                )
            }
        }
    }
}

/// A tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
}

/// The calls in `value`: one or a list of `{"name", "arguments"}`, each perhaps within `"function"`, or `{"tool_calls": […]}`;
/// arguments may be JSON in a text.
///
/// # Errors
/// What is wrong with the form.
pub fn read_calls(value: &Value) -> Result<Vec<Call>, String> {
    match value {
        Value::String(text) => {
            let inner: Value = serde_json::from_str(text)
                .map_err(|error| format!("the call is not JSON ({error})"))?;
            match inner {
                Value::String(_) => Err("the call is a text, not an object".into()),
                inner => read_calls(&inner),
            }
        }
        Value::Array(calls) => calls.iter().map(read_call).collect(),
        Value::Object(map) => match map.get("tool_calls") {
            Some(Value::Array(calls)) => calls.iter().map(read_call).collect(),
            _ => Ok(vec![read_call(value)?]),
        },
        _ => Err("the call is neither an object nor a list of them".into()),
    }
}

fn read_call(value: &Value) -> Result<Call, String> {
    let call = value
        .get("function")
        .filter(|it| it.is_object())
        .unwrap_or(value);
    let name = call
        .get("name")
        .and_then(Value::as_str)
        .ok_or("a call has no `name`")?;
    let arguments = match call.get("arguments").or_else(|| call.get("parameters")) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(map)) => map.clone(),
        Some(Value::String(text)) => match serde_json::from_str(text) {
            Ok(Value::Object(map)) => map,
            _ => {
                return Err(format!(
                    "the arguments of `{}` are a text that is not a JSON object",
                    short(name)
                ));
            }
        },
        Some(_) => {
            return Err(format!(
                "the arguments of `{}` are not an object",
                short(name)
            ));
        }
    };
    Ok(Call {
        name: name.to_owned(),
        arguments,
    })
}

/// A name from outside, at most 60 characters of it.
fn short(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// All faults of `calls` under the definitions `tools`: a list, each a function with `parameters` as a JSON schema (perhaps
/// within `"function"`), or as a map from argument to `{type, enum, required…}`. Empty when everything fits. What a
/// definition does not say is not checked.
///
/// # Errors
/// What is wrong with the form of either.
pub fn check_calls(tools: &Value, calls: &Value) -> Result<Vec<Fault>, String> {
    let parsed;
    let tools = match tools {
        Value::String(text) => {
            parsed = serde_json::from_str(text)
                .map_err(|error| format!("the tools are not JSON ({error})"))?;
            &parsed
        }
        other => other,
    };
    let tools = match tools {
        Value::Array(list) => list.as_slice(),
        Value::Object(_) => std::slice::from_ref(tools),
        _ => return Err("the tools are not a list of definitions".into()),
    };
    let tools: Vec<&Value> = tools
        .iter()
        .map(|tool| {
            tool.get("function")
                .filter(|it| it.is_object())
                .unwrap_or(tool)
        })
        .collect();
    if tools
        .iter()
        .any(|tool| tool.get("name").and_then(Value::as_str).is_none())
    {
        return Err("a tool has no `name`".into());
    }
    let mut faults = Vec::new();
    for call in read_calls(calls)? {
        let same = |tool: &&&Value| tool["name"].as_str() == Some(&call.name);
        match tools.iter().find(same) {
            None => faults.push(Fault::UnknownFunction {
                function: short(&call.name),
            }),
            Some(tool) => check_arguments(tool, &call, &mut faults),
        }
    }
    Ok(faults)
}

fn check_arguments(tool: &Value, call: &Call, faults: &mut Vec<Fault>) {
    let empty = Map::new();
    let parameters = tool
        .get("parameters")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let (properties, required, open) = schema(parameters);
    let function = short(&call.name);
    for name in required {
        if !call.arguments.contains_key(name) {
            faults.push(Fault::MissingArgument {
                function: function.clone(),
                argument: short(name),
            });
        }
    }
    for (name, value) in &call.arguments {
        match properties.get(name) {
            Some(rule) => check_value(rule, value, &function, short(name), 0, faults),
            None if open => {}
            None => faults.push(Fault::UnknownArgument {
                function: function.clone(),
                argument: short(name),
            }),
        }
    }
}

/// Properties, required names, and whether others are allowed, of a JSON schema or a plain map of arguments.
fn schema(parameters: &Map<String, Value>) -> (&Map<String, Value>, Vec<&str>, bool) {
    let properties = parameters.get("properties").and_then(Value::as_object);
    let properties = properties.filter(|_| {
        parameters
            .get("type")
            .is_none_or(|kind| kind == "object" || kind == "dict")
    });
    let listed = parameters.get("required").and_then(Value::as_array);
    match properties {
        Some(properties) => {
            let required = listed
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let open = parameters
                .get("additionalProperties")
                .is_some_and(|it| *it != Value::Bool(false));
            (properties, required, open)
        }
        None => {
            let flagged = parameters
                .iter()
                .filter(|(_, rule)| rule.get("required") == Some(&Value::Bool(true)));
            (
                parameters,
                flagged.map(|(name, _)| name.as_str()).collect(),
                false,
            )
        }
    }
}

fn check_value(
    rule: &Value,
    value: &Value,
    function: &str,
    path: String,
    depth: usize,
    faults: &mut Vec<Fault>,
) {
    if depth > DEEPEST || (value.is_null() && rule.get("default").is_some_and(Value::is_null)) {
        return;
    }
    let wanted: Vec<&str> = match rule.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !wanted.is_empty() && !wanted.iter().any(|kind| is_of(value, kind)) {
        faults.push(Fault::WrongType {
            function: function.to_owned(),
            argument: path,
            wanted: short(&wanted.join(" or ")),
            found: kind_of(value).to_owned(),
        });
        return;
    }
    if let Some(listed) = rule.get("enum").and_then(Value::as_array)
        && !listed.contains(value)
    {
        faults.push(Fault::NotInEnum {
            function: function.to_owned(),
            argument: path,
        });
        return;
    }
    match value {
        Value::Array(items) => {
            if let Some(rule) = rule.get("items") {
                for (index, item) in items.iter().enumerate() {
                    check_value(
                        rule,
                        item,
                        function,
                        format!("{path}[{index}]"),
                        depth + 1,
                        faults,
                    );
                }
            }
        }
        Value::Object(fields) => {
            let Some(properties) = rule.get("properties").and_then(Value::as_object) else {
                return;
            };
            let required = rule.get("required").and_then(Value::as_array);
            for name in required.into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    let argument = format!("{path}.{}", short(name));
                    faults.push(Fault::MissingArgument {
                        function: function.to_owned(),
                        argument,
                    });
                }
            }
            let open = rule
                .get("additionalProperties")
                .is_none_or(|it| *it != Value::Bool(false));
            for (name, value) in fields {
                let argument = format!("{path}.{}", short(name));
                match properties.get(name) {
                    Some(rule) => check_value(rule, value, function, argument, depth + 1, faults),
                    None if open => {}
                    None => faults.push(Fault::UnknownArgument {
                        function: function.to_owned(),
                        argument,
                    }),
                }
            }
        }
        _ => {}
    }
}

/// Whether `value` is of the type that definitions call `kind`; unknown names fit everything.
fn is_of(value: &Value, kind: &str) -> bool {
    let kind = kind.to_lowercase();
    let kind = kind
        .split([',', '[', '<'])
        .next()
        .unwrap_or_default()
        .trim();
    match kind {
        "string" | "str" => value.is_string(),
        "integer" | "int" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|x| x.fract() == 0.0)
        }
        "number" | "float" | "double" => value.is_number(),
        "boolean" | "bool" => value.is_boolean(),
        "array" | "list" | "tuple" => value.is_array(),
        "object" | "dict" => value.is_object(),
        "null" | "none" => value.is_null(),
        _ => true,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tools() -> Value {
        json!([{"type": "function", "function": {"name": "set_alarm", "parameters": {"type": "object",
            "properties": {"time": {"type": "string"}, "days": {"type": "array", "items": {"type": "string", "enum": ["mon", "tue"]}},
                "volume": {"type": "integer"}}, "required": ["time"]}}},
            {"name": "list_posts", "parameters": {"user_id": {"type": "int", "required": true}, "count": {"type": "int", "default": 3}}}])
    }

    fn faults(call: Value) -> Vec<String> {
        let found = check_calls(&tools(), &call).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn calls_that_fit_have_no_fault_in_any_form() {
        assert!(faults(json!({"name": "set_alarm", "arguments": {"time": "7:00", "days": ["mon"], "volume": 3.0}})).is_empty());
        assert!(faults(json!([{"name": "list_posts", "arguments": {"user_id": 4}}])).is_empty());
        let openai = json!({"tool_calls": [{"function": {"name": "set_alarm", "arguments": "{\"time\": \"7:00\"}"}}]});
        assert!(faults(openai).is_empty());
        assert!(
            faults(json!(
                "{\"name\": \"set_alarm\", \"arguments\": {\"time\": \"7\"}}"
            ))
            .is_empty()
        );
    }

    #[test]
    fn each_planted_fault_is_named() {
        let one = |call: Value, wanted: &str| {
            let found = faults(call);
            assert!(found.len() == 1 && found[0].contains(wanted), "{found:?}");
        };
        one(
            json!({"name": "set_alert", "arguments": {}}),
            "no tool `set_alert`",
        );
        one(
            json!({"name": "set_alarm", "arguments": {"time": "7", "day": 1}}),
            "no argument `day`",
        );
        one(
            json!({"name": "set_alarm", "arguments": {"volume": 1}}),
            "needs the argument `time`",
        );
        one(
            json!({"name": "set_alarm", "arguments": {"time": 7}}),
            "is integer, not string",
        );
        one(
            json!({"name": "set_alarm", "arguments": {"time": "7", "days": ["sun"]}}),
            "`days[0]`",
        );
        one(
            json!({"name": "list_posts", "arguments": {}}),
            "needs the argument `user_id`",
        );
    }

    #[test]
    fn what_is_no_call_is_told() {
        for bad in [
            json!(3),
            json!("x"),
            json!("\"x\""),
            json!({"arguments": {}}),
            json!({"name": "a", "arguments": [1]}),
        ] {
            assert!(check_calls(&tools(), &bad).is_err(), "{bad}");
        }
        assert!(check_calls(&json!("nothing"), &json!([])).is_err());
    }
}
