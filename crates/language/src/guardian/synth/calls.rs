//! Tool calls that fit, and tool calls with exactly one fault.

use base::rng::Rng;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Half;
use crate::guardian::prompt::Message;
use crate::guardian::record::Record;
use crate::guardian::risk::RiskConfig;
use engine::SystemError;

/// A function of the pool, which is ours.
#[derive(Clone, Debug, Deserialize)]
struct Function {
    name: String,
    description: String,
    arguments: Map<String, Value>,
    required: Vec<String>,
    requests: Vec<String>,
}

/// What was changed in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The function's name is changed.
    RenameFunction,
    /// A function that is not in the list is called.
    OtherFunction,
    /// An argument has another name.
    RenameArgument,
    /// A required argument is not there.
    DropArgument,
    /// An argument is there that the function does not have.
    AddArgument,
    /// A number became a text, or the other way round.
    ChangeType,
    /// Two values changed places.
    SwapValues,
    /// A value fits the definition and not the request.
    OtherValue,
}

impl Edit {
    /// All edits.
    pub const ALL: [Self; 8] = [
        Self::RenameFunction,
        Self::OtherFunction,
        Self::RenameArgument,
        Self::DropArgument,
        Self::AddArgument,
        Self::ChangeType,
        Self::SwapValues,
        Self::OtherValue,
    ];

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::RenameFunction => "rename_function",
            Self::OtherFunction => "other_function",
            Self::RenameArgument => "rename_argument",
            Self::DropArgument => "drop_argument",
            Self::AddArgument => "add_argument",
            Self::ChangeType => "change_type",
            Self::SwapValues => "swap_values",
            Self::OtherValue => "other_value",
        }
    }

    /// Whether only the request tells that something is wrong.
    pub fn is_value_error(name: &str) -> bool {
        name == "other_value" || name == "swap_values"
    }
}

/// `count` records of the risk `function_call`, half of them with one fault, whose name is under `edit`. Functions of one
/// half never occur in the other.
///
/// # Errors
/// When the pool is broken.
pub fn tool_calls(count: usize, half: Half, rng: &Rng) -> Result<Vec<Record>, SystemError> {
    let pool: Vec<Function> = serde_json::from_str(include_str!("pool.json"))
        .map_err(|error| SystemError::Input(format!("the pool of tools is broken: {error}")))?;
    // Every fourth function is tested.
    let of_half = |(index, function): (usize, Function)| {
        ((index % 4 == 3) == (half == Half::Test)).then_some(function)
    };
    let pool: Vec<Function> = pool.into_iter().enumerate().filter_map(of_half).collect();
    let risk = RiskConfig::new(Some("function_call"), None)?;
    let mut records = Vec::with_capacity(count);
    for index in 0..count {
        let mut rng = rng.item(index as u64);
        let mut order: Vec<usize> = (0..pool.len()).collect();
        rng.shuffle(&mut order);
        let listed = &order[..(1 + rng.below(2)).min(order.len())];
        let (function, unlisted) = (
            &pool[listed[rng.below(listed.len())]],
            order.last().map(|it| &pool[*it]),
        );
        let mut tools: Vec<Value> = listed.iter().map(|it| definition(&pool[*it])).collect();
        rng.shuffle(&mut tools);
        let mut values = Map::new();
        for (name, rule) in &function.arguments {
            values.insert(name.clone(), choose(rule, &Value::Null, &mut rng));
        }
        let request = fill(
            &function.requests[rng.below(function.requests.len())],
            &values,
        );
        let mut call = (function.name.clone(), values);
        let mut edit = None;
        if index % 2 == 1 {
            let first = rng.below(Edit::ALL.len());
            // Not every fault can be planted in every call; the next one in turn can.
            let mut turns =
                (0..Edit::ALL.len()).map(|turn| Edit::ALL[(first + turn) % Edit::ALL.len()]);
            edit =
                turns.find(|edit| plant(*edit, function, unlisted, &request, &mut call, &mut rng));
        }
        let call = json!([{"name": call.0, "arguments": call.1}]);
        let messages = vec![
            Message::json("tools", Value::Array(tools)),
            Message::new("user", request),
            Message::json("assistant", call),
        ];
        let mut record = Record::new(
            format!("call-{index}"),
            messages,
            &risk,
            Some(edit.is_some()),
        );
        record
            .rest
            .insert("edit".into(), Value::from(edit.map_or("none", Edit::name)));
        records.push(record);
    }
    Ok(records)
}

/// The definition as a model sees it.
fn definition(function: &Function) -> Value {
    let mut properties = Map::new();
    for (name, rule) in &function.arguments {
        let mut rule = rule.clone();
        if let Some(rule) = rule.as_object_mut() {
            rule.remove("values");
        }
        properties.insert(name.clone(), rule);
    }
    json!({"name": function.name, "description": function.description,
        "parameters": {"type": "object", "properties": properties, "required": function.required}})
}

/// A value of the argument other than `but`.
fn choose(rule: &Value, but: &Value, rng: &mut Rng) -> Value {
    let values = rule["values"].as_array().map_or(&[][..], Vec::as_slice);
    let others: Vec<&Value> = values.iter().filter(|value| *value != but).collect();
    others
        .get(rng.below(others.len()))
        .map_or(Value::Null, |value| (*value).clone())
}

fn spoken(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Array(items) => items.iter().map(spoken).collect::<Vec<_>>().join(" and "),
        other => other.to_string(),
    }
}

fn fill(request: &str, values: &Map<String, Value>) -> String {
    values
        .iter()
        .fold(request.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), &spoken(value))
        })
}

/// Plants a fault; false where it cannot be planted here.
fn plant(
    edit: Edit,
    function: &Function,
    unlisted: Option<&Function>,
    request: &str,
    (name, values): &mut (String, Map<String, Value>),
    rng: &mut Rng,
) -> bool {
    let names: Vec<String> = values.keys().cloned().collect();
    let any = names[rng.below(names.len())].clone();
    match edit {
        Edit::RenameFunction => {
            let (verb, rest) = name.split_once('_').unwrap_or((name.as_str(), "it"));
            let verbs = ["make", "do", "run", "fetch", "apply"];
            let other = verbs[rng.below(verbs.len())];
            *name = if other == verb {
                format!("{rest}_{verb}")
            } else {
                format!("{other}_{rest}")
            };
        }
        Edit::OtherFunction => match unlisted {
            Some(other) if other.name != function.name => name.clone_from(&other.name),
            _ => return false,
        },
        Edit::RenameArgument => {
            let other = format!("{}_{any}", ["the", "my", "new"][rng.below(3)]);
            rename(values, &any, &other);
        }
        Edit::DropArgument => {
            let required: Vec<&String> = names
                .iter()
                .filter(|it| function.required.contains(it))
                .collect();
            let dropped = required[rng.below(required.len())];
            values.shift_remove(dropped);
        }
        Edit::AddArgument => {
            let added = ["comment", "format", "limit", "mode"][rng.below(4)];
            values.insert(
                added.into(),
                json!(["short", "default", "all"][rng.below(3)]),
            );
        }
        Edit::ChangeType => {
            let Some(value) = values.get_mut(&any) else {
                return false;
            };
            *value = match &*value {
                Value::String(_) => json!(rng.below(100)),
                Value::Array(items) => items.first().cloned().unwrap_or(Value::Null),
                other => Value::String(spoken(other)),
            };
        }
        Edit::SwapValues => {
            let free = |it: &&String| {
                function.arguments[*it]["type"] == "string"
                    && function.arguments[*it].get("enum").is_none()
            };
            let texts: Vec<String> = names.iter().filter(free).cloned().collect();
            let [a, b, ..] = texts.as_slice() else {
                return false;
            };
            let (first, second) = (values[a].clone(), values[b].clone());
            values.insert(a.clone(), second);
            values.insert(b.clone(), first);
        }
        Edit::OtherValue => {
            let other = choose(&function.arguments[&any], &values[&any], rng);
            let heard = request
                .to_lowercase()
                .contains(&spoken(&other).to_lowercase());
            if other.is_null() || other.is_boolean() || heard {
                return false;
            }
            values.insert(any, other);
        }
    }
    true
}

/// The same values, one under another name and in its place.
fn rename(values: &mut Map<String, Value>, from: &str, to: &str) {
    let all = std::mem::take(values);
    values.extend(all.into_iter().map(|(name, value)| {
        if name == from {
            (to.to_owned(), value)
        } else {
            (name, value)
        }
    }));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::guardian::tools::check_calls;

    #[test]
    fn the_rules_find_every_fault_but_those_of_values_and_none_where_there_is_none() {
        for half in [Half::Train, Half::Test] {
            for record in tool_calls(400, half, &Rng::new(3)).unwrap() {
                let edit = record.rest["edit"].as_str().unwrap();
                let faults =
                    check_calls(&record.messages[0].content, &record.messages[2].content).unwrap();
                let found = edit != "none" && !Edit::is_value_error(edit);
                let shown = &record.messages;
                assert_eq!(!faults.is_empty(), found, "{edit}: {faults:?} in {shown:?}");
                assert_eq!(record.risky(), Some(edit != "none"));
            }
        }
    }

    #[test]
    fn every_edit_occurs_and_the_halves_share_no_function() {
        let all = |half| tool_calls(800, half, &Rng::new(5)).unwrap();
        let [train, test] = [Half::Train, Half::Test].map(all);
        for edit in Edit::ALL {
            assert!(
                train.iter().any(|it| it.rest["edit"] == edit.name()),
                "{edit:?}"
            );
        }
        let tools = |records: &[Record]| -> std::collections::BTreeSet<String> {
            let lists = records
                .iter()
                .flat_map(|it| it.messages[0].content.as_array().unwrap());
            lists.map(|tool| tool["name"].to_string()).collect()
        };
        assert!(
            tools(&train).is_disjoint(&tools(&test)) && tools(&test).len() >= 4,
            "{:?}",
            tools(&test)
        );
    }
}
