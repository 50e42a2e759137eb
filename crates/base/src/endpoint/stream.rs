//! Replies as server-sent events, and JSON as it really comes.

use serde_json::{Value, json};

/// The JSON in a body. Halves of surrogate pairs, which some servers cut apart, become U+FFFD.
///
/// # Errors
/// [`serde_json::Error`] where it is not JSON.
pub(super) fn lenient(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(bytes).or_else(|error| {
        let text = String::from_utf8_lossy(bytes);
        serde_json::from_str(&whole_surrogates(&text)).map_err(|_| error)
    })
}

/// `text` with each `\\uD8xx` or `\\uDCxx` that has no partner replaced.
fn whole_surrogates(text: &str) -> String {
    let unit = |at: usize| -> Option<u16> {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let keep = match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                out.push_str("\\ufffd");
                at += 6;
                continue;
            }
            // An escaped character, also an escaped backslash, goes as a whole.
            _ if c == '\\' => {
                1 + text
                    .get(at + 1..)
                    .and_then(|rest| rest.chars().next())
                    .map_or(0, char::len_utf8)
            }
            _ => c.len_utf8(),
        };
        out.push_str(text.get(at..at + keep).unwrap_or_default());
        at += keep;
    }
    out
}

/// Whether a body is a list of events.
pub(super) fn is_events(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    [b"data:".as_slice(), b"event:", b"id:", b": ", b"retry:"]
        .iter()
        .any(|mark| start.starts_with(mark))
}

/// The events of one reply put together as if it had come at once. An event with an error is the reply.
///
/// # Errors
/// What is wrong with an event, in a few words.
pub(super) fn joined(bytes: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(bytes);
    let (mut content, mut finish, mut usage, mut some) =
        (None::<String>, Value::Null, Value::Null, false);
    for line in text.lines() {
        let Some(data) = line.trim_end().strip_prefix("data:").map(str::trim) else {
            continue;
        };
        if data == "[DONE]" {
            break;
        }
        let event =
            lenient(data.as_bytes()).map_err(|error| format!("an event is not JSON: {error}"))?;
        if event.get("error").is_some_and(|error| !error.is_null()) {
            return Ok(event);
        }
        if let Some(counted) = event.get("usage").filter(|usage| !usage.is_null()) {
            usage = counted.clone();
        }
        let Some(choice) = event.get("choices").and_then(|choices| choices.get(0)) else {
            continue;
        };
        some = true;
        let part = ["delta", "message"]
            .iter()
            .find_map(|key| choice.get(key)?.get("content"));
        if let Some(text) = part
            .or_else(|| choice.get("text"))
            .and_then(super::wire::text)
        {
            content.get_or_insert_with(String::new).push_str(&text);
        }
        if let Some(reason) = choice
            .get("finish_reason")
            .filter(|reason| !reason.is_null())
        {
            finish = reason.clone();
        }
    }
    match some {
        true => Ok(
            json!({"choices": [{"message": {"content": content}, "finish_reason": finish}], "usage": usage}),
        ),
        false => Err("its events hold no choice".into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_do_not_lose_a_reply() {
        let text = |body: &str| {
            lenient(body.as_bytes())
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(text(r#""a \ud83d b""#), "a \u{fffd} b");
        assert_eq!(
            text(r#""\ud83d\ude00 \udc00 \\ud83d""#),
            "\u{1f600} \u{fffd} \\ud83d"
        );
        assert!(lenient(b"<html>").is_err());
    }

    #[test]
    fn events_are_one_reply() {
        let body = b": hello\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"[[A\"}}]}\n\n\
            data: {\"choices\":[{\"delta\":{\"content\":\">B]]\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        assert!(is_events(body));
        let joined = joined(body).unwrap();
        assert_eq!(joined["choices"][0]["message"]["content"], "[[A>B]]");
        assert_eq!(joined["choices"][0]["finish_reason"], "stop");
    }
}
