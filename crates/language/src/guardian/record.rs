//! Files of JSON lines: what is to be assessed, and what was (section 7.1 of the specification).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use base::command::one_line;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::prompt::Message;
use super::risk::RiskConfig;
use engine::SystemError;

/// Longest line, in bytes.
const LONGEST: u64 = 16 << 20;

/// One content with one risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Names the line; its number where it has none.
    #[serde(default)]
    pub id: Value,
    /// The messages.
    pub messages: Vec<Message>,
    /// A risk's name; `criteria_id` and `risk_name` in other tools.
    #[serde(
        default,
        alias = "risk_name",
        alias = "criteria_id",
        skip_serializing_if = "Option::is_none"
    )]
    pub risk: Option<String>,
    /// The definition of a custom risk.
    #[serde(
        default,
        alias = "risk_definition",
        skip_serializing_if = "Option::is_none"
    )]
    pub definition: Option<String>,
    /// 1 when the risk is there, 0 when it is not; absent when nobody said.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "label"
    )]
    pub label: Option<u8>,
    /// Everything else, kept as it came.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// 0, 1, true or false.
fn label<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Bool(risky) => Ok(Some(u8::from(risky))),
        Value::Number(number) if number.as_f64() == Some(0.0) => Ok(Some(0)),
        Value::Number(number) if number.as_f64() == Some(1.0) => Ok(Some(1)),
        other => Err(serde::de::Error::custom(format!(
            "`label` is {other}, not 0 or 1"
        ))),
    }
}

impl Record {
    /// A labelled content.
    pub fn new(
        id: impl Into<Value>,
        messages: Vec<Message>,
        risk: &RiskConfig,
        label: Option<bool>,
    ) -> Self {
        Self {
            id: id.into(),
            messages,
            risk: Some(risk.name().to_owned()),
            definition: match risk {
                RiskConfig::Builtin(_) => None,
                RiskConfig::Custom { definition, .. } => Some(definition.clone()),
            },
            label: label.map(u8::from),
            rest: BTreeMap::new(),
        }
    }

    /// The risk that is asked for.
    ///
    /// # Errors
    /// As [`RiskConfig::new`].
    pub fn config(&self) -> Result<RiskConfig, SystemError> {
        RiskConfig::new(self.risk.as_deref(), self.definition.as_deref())
    }

    /// Whether it is labelled risky.
    pub fn risky(&self) -> Option<bool> {
        self.label.map(|label| label == 1)
    }
}

/// The records of a file, in order, and one readable line for each line that was left out.
///
/// # Errors
/// [`SystemError::Input`] when it cannot be read.
pub fn read_records(
    input: impl Read,
    origin: &str,
) -> Result<(Vec<Record>, Vec<String>), SystemError> {
    let mut reader = BufReader::new(input);
    let (mut records, mut troubles) = (Vec::new(), Vec::new());
    let mut trouble = |number: usize, what: &dyn std::fmt::Display| {
        troubles.push(one_line(&format!(
            "`{origin}` line {number}: {what}: left out"
        )));
    };
    for number in 1.. {
        let mut bytes = Vec::new();
        let mut limited = reader.by_ref().take(LONGEST + 1);
        let read = limited.read_until(b'\n', &mut bytes);
        let cannot = |error| SystemError::Input(format!("cannot read `{origin}`: {error}"));
        if read.map_err(cannot)? == 0 {
            break;
        }
        if bytes.len() as u64 > LONGEST {
            trouble(number, &format_args!("longer than {} MB", LONGEST >> 20));
            while bytes.last() != Some(&b'\n') && !bytes.is_empty() {
                bytes.clear();
                let mut limited = reader.by_ref().take(1 << 20);
                limited.read_until(b'\n', &mut bytes).map_err(cannot)?;
            }
            continue;
        }
        let line = bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&bytes)
            .trim_ascii();
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Record>(line) {
            Ok(mut record) => {
                if record.id.is_null() {
                    record.id = Value::from(number);
                }
                records.push(record);
            }
            Err(error) => trouble(number, &error),
        }
    }
    Ok((records, troubles))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_many_forms_and_broken_ones_are_told() {
        let text = b"\xef\xbb\xbf{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"criteria_id\":\"harm\",\"label\":true,\"x\":1}\r\n\n[1]\n{\"messages\":[],\"label\":2}\n\xff\n";
        let (records, troubles) = read_records(&text[..], "a.jsonl").unwrap();
        assert_eq!((records.len(), troubles.len()), (1, 3));
        let record = &records[0];
        assert_eq!(
            (
                record.id.as_u64(),
                record.risky(),
                record.config().unwrap().name()
            ),
            (Some(1), Some(true), "harm")
        );
        assert_eq!(record.rest["x"], 1);
        assert!(troubles[1].contains("not 0 or 1"), "{troubles:?}");
    }
}
