//! Attributes as the labels that results are grouped by.

use serde_json::Value;

use crate::omnidocbench::page::Attributes;

/// `name: value`, the value as Python prints it.
pub fn label(name: &str, value: &Value) -> String {
    format!("{name}: {}", printed(value, false))
}

/// The labels of a page: its attributes, and each of its special issues that is not about tables.
pub fn page_labels(attributes: &Attributes) -> Vec<String> {
    let mut labels = Vec::new();
    for (name, value) in attributes {
        match value {
            Value::Array(issues) => {
                let issues = issues.iter().map(|issue| printed(issue, false));
                labels.extend(issues.filter(|issue| !issue.contains("table")));
            }
            _ => labels.push(label(name, value)),
        }
    }
    labels.sort_unstable();
    labels.dedup();
    labels
}

/// Python's `str`, or `repr` where `quoted`.
fn printed(value: &Value, quoted: bool) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if quoted => format!("'{text}'"),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| printed(item, true)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(k, v)| format!("'{k}': {}", printed(v, true)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_printed_as_python_prints_them() {
        assert_eq!(label("with_span", &json!(true)), "with_span: True");
        assert_eq!(label("a", &json!([1, "b", null])), "a: [1, 'b', None]");
        let page =
            json!({"layout": "double_column", "special_issue": ["table_full_line", "watermark"]});
        let labels = page_labels(page.as_object().unwrap_or(&Attributes::new()));
        assert_eq!(labels, ["layout: double_column", "watermark"]);
    }
}
