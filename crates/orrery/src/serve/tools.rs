//! Tools: how they are described to a model, and how its calls are read.

use engine::decode::GrammarKind;
use serde_json::{Map, Value, json};

use super::error::ApiError;

/// Most tools.
const MOST: usize = 128;
/// How templates of several families let a model mark a call.
const MARKS: [&str; 2] = ["<tool_call>", "</tool_call>"];

/// Whether a call is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// No.
    None,
    /// As the model likes.
    Auto,
    /// A call of one of these.
    Required(Vec<String>),
}

/// Reads `tool_choice`.
///
/// # Errors
/// [`ApiError`] for a tool that is not there.
pub fn choice(choice: Option<&Value>, tools: &[Value]) -> Result<Choice, ApiError> {
    let names: Vec<String> = tools.iter().filter_map(name).map(str::to_owned).collect();
    if tools.len() > MOST || names.len() != tools.len() {
        return Err(ApiError::param(
            "tools",
            format!(
                "give at most {MOST} objects {{\"type\": \"function\", \"function\": {{\"name\": …}}}}"
            ),
        ));
    }
    let wrong = || {
        ApiError::param(
            "tool_choice",
            "give `none`, `auto`, `required` or a function that is among the tools",
        )
    };
    match choice {
        None | Some(Value::Null) if names.is_empty() => Ok(Choice::None),
        None | Some(Value::Null) => Ok(Choice::Auto),
        Some(Value::String(word)) => match word.as_str() {
            "none" => Ok(Choice::None),
            "auto" if names.is_empty() => Ok(Choice::None),
            "auto" => Ok(Choice::Auto),
            "required" if !names.is_empty() => Ok(Choice::Required(names)),
            _ => Err(wrong()),
        },
        Some(choice) => {
            let asked = choice
                .get("function")
                .and_then(|it| it.get("name"))
                .and_then(Value::as_str);
            let known = asked.filter(|asked| names.iter().any(|name| name == asked));
            known
                .map(|name| Choice::Required(vec![name.to_owned()]))
                .ok_or_else(wrong)
        }
    }
}

fn name(tool: &Value) -> Option<&str> {
    tool.get("function")?.get("name")?.as_str()
}

/// A grammar of calls of the tools `names`.
pub fn grammar(tools: &[Value], names: &[String]) -> GrammarKind {
    let calls = tools
        .iter()
        .filter(|tool| name(tool).is_some_and(|it| names.iter().any(|name| name == it)));
    let call = |tool: &Value| {
        let parameters = tool["function"]
            .get("parameters")
            .filter(|it| it.is_object());
        let any = json!({"type": "object"});
        json!({
            "type": "object", "additionalProperties": false, "required": ["name", "arguments"],
            "properties": {"name": {"const": name(tool)}, "arguments": parameters.unwrap_or(&any)},
        })
    };
    let calls: Vec<Value> = calls.map(call).collect();
    GrammarKind::JsonSchema(match calls.len() {
        1 => calls.into_iter().next().unwrap_or_default(),
        _ => json!({"anyOf": calls}),
    })
}

/// The description for a model whose template knows no tools.
pub fn described(tools: &[Value]) -> String {
    let lines: Vec<String> = tools
        .iter()
        .map(|tool| tool["function"].to_string())
        .collect();
    format!(
        "You may call these functions, each described by JSON:\n{}\nTo call one, write only {}{{\"name\": …, \"arguments\": {{…}}}}{}.",
        lines.join("\n"),
        MARKS[0],
        MARKS[1]
    )
}

/// The text before calls, and the calls in a text: between marks, or a text that is a call as a whole.
pub fn calls(text: &str, names: &[String]) -> Option<(String, Vec<Value>)> {
    let mut calls = Vec::new();
    let mut before = None;
    let mut rest = text;
    while let Some((lead, inner)) = rest.split_once(MARKS[0]) {
        before.get_or_insert(lead);
        let (inner, after) = inner.split_once(MARKS[1]).unwrap_or((inner, ""));
        calls.extend(call(inner, names));
        rest = after;
    }
    if calls.is_empty() {
        calls.extend(call(text, names));
        before = Some("");
    }
    let lead = before.unwrap_or_default().trim().to_owned();
    (!calls.is_empty()).then_some((lead, calls))
}

fn call(text: &str, names: &[String]) -> Option<Value> {
    let json: Map<String, Value> = serde_json::from_str(text.trim()).ok()?;
    let name = json
        .get("name")?
        .as_str()
        .filter(|it| names.iter().any(|name| name == it))?;
    let arguments = json.get("arguments").or_else(|| json.get("parameters"));
    let arguments = match arguments {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "{}".into(),
    };
    Some(json!({"name": name, "arguments": arguments}))
}

/// A call as chat completions write it.
pub fn written(id: &str, index: usize, call: &Value) -> Value {
    json!({"index": index, "id": format!("call-{id}-{index}"), "type": "function", "function": call})
}

/// Names of tools.
pub fn names(tools: &[Value]) -> Vec<String> {
    tools.iter().filter_map(name).map(str::to_owned).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_from_marks_and_from_bare_json() {
        let names = ["f".to_owned()];
        let (lead, found) = calls(
            "Sure. <tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1}}</tool_call>",
            &names,
        )
        .unwrap();
        assert_eq!(
            (lead.as_str(), found[0]["arguments"].as_str().unwrap()),
            ("Sure.", "{\"a\":1}")
        );
        assert!(calls("{\"name\":\"g\",\"arguments\":{}}", &names).is_none());
        assert_eq!(
            calls(" {\"name\":\"f\"} ", &names).unwrap().1[0]["arguments"],
            "{}"
        );
        assert!(calls("hello <tool_call>nonsense", &names).is_none());
    }

    #[test]
    fn choices_name_tools_that_are_there() {
        let tools = [json!({"type": "function", "function": {"name": "f"}})];
        assert_eq!(choice(None, &tools).unwrap(), Choice::Auto);
        assert_eq!(choice(None, &[]).unwrap(), Choice::None);
        let named = json!({"type": "function", "function": {"name": "f"}});
        assert_eq!(
            choice(Some(&named), &tools).unwrap(),
            Choice::Required(names(&tools))
        );
        assert!(choice(Some(&json!("required")), &[]).is_err());
        assert!(choice(None, &[json!({})]).is_err());
    }
}
