//! Bodies: bounded in size, time and memory before they are read as JSON.

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde::de::{DeserializeOwned, Deserializer};

use super::Shared;
use super::error::ApiError;

/// How long a body may take to come.
const TIME: Duration = Duration::from_secs(30);
/// Bytes of all bodies that are being read, in units of [`UNIT`].
pub const ALL_BODIES: usize = 256 << 10;
/// Bytes of a unit of memory.
const UNIT: usize = 1 << 10;

/// A body of JSON.
#[derive(Debug)]
pub struct Parsed<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequest<Shared> for Parsed<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, server: &Shared) -> Result<Self, ApiError> {
        let headers = request.headers();
        let kind = headers
            .get(header::CONTENT_TYPE)
            .and_then(|it| it.to_str().ok());
        // Other types reach a server from any web page without a question.
        if !kind.is_some_and(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/json")
        }) {
            return Err(ApiError::status(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send JSON with the header `Content-Type: application/json`",
            ));
        }
        let said = headers.get(header::CONTENT_LENGTH);
        let said = said.and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
        let most = server.most_body;
        if said.is_some_and(|said| said > most) {
            return Err(too_large(most));
        }
        let bytes = tokio::time::timeout(TIME, collect(request, server, most));
        let bytes = bytes.await.map_err(|_| {
            ApiError::status(
                StatusCode::REQUEST_TIMEOUT,
                "the body took too long to come",
            )
        })??;
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let value = read(&mut reader)?;
        match reader.end() {
            Ok(()) => Ok(Self(value)),
            Err(error) => Err(ApiError::input(format!("the body cannot be used: {error}"))),
        }
    }
}

/// What a request holds.
///
/// # Errors
/// [`ApiError`] that names the field, in words of JSON.
pub fn read<'a, T, D>(reader: D) -> Result<T, ApiError>
where
    T: DeserializeOwned,
    D: Deserializer<'a>,
    D::Error: std::fmt::Display,
{
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let field = error.path().to_string();
        let what = in_words(&error.inner().to_string());
        // The path `.` is the whole.
        match field.as_str() {
            "." | "?" => ApiError::input(format!("the body cannot be used: {what}")),
            _ => ApiError::field(
                field.clone(),
                format!("the body cannot be used: `{field}`: {what}"),
            ),
        }
    })
}

/// What the parser says, with names of JSON in place of the program's types.
fn in_words(text: &str) -> String {
    let (text, place) = match text.rsplit_once(" at line ") {
        Some((text, place)) => (
            text,
            format!(" (line {})", place.replace(" column", ", column")),
        ),
        None => (text, String::new()),
    };
    let found = text
        .strip_prefix("invalid type: ")
        .or_else(|| text.strip_prefix("invalid value: "));
    let line = match found.and_then(|found| found.rsplit_once(", expected ")) {
        Some((given, wanted)) => format!("{given} where {} is wanted", of_json(wanted)),
        None => text.to_owned(),
    };
    format!("{line}{place}")
}

/// A type of the program, as JSON has it.
fn of_json(wanted: &str) -> &str {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") || other.starts_with("internally tagged enum") => {
            "an object"
        }
        other if other.starts_with("enum ") => "one of the words of this field",
        other => other,
    }
}

fn too_large(most: usize) -> ApiError {
    ApiError::status(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!(
            "the body has more than {most} bytes: send less, or start the server with a larger `--max-body`"
        ),
    )
}

/// The body; memory is taken as it comes.
async fn collect(request: Request, server: &Shared, most: usize) -> Result<Vec<u8>, ApiError> {
    let mut body = request.into_body();
    let mut bytes: Vec<u8> = Vec::new();
    let mut held = Vec::new();
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let Some(frame) = frame else { return Ok(bytes) };
        let frame = frame.map_err(|_| ApiError::input("the body broke off"))?;
        let data: Bytes = frame.into_data().unwrap_or_default();
        if bytes.len() + data.len() > most {
            return Err(too_large(most));
        }
        let units = u32::try_from(data.len().div_ceil(UNIT)).unwrap_or(u32::MAX);
        match server.bodies.clone().try_acquire_many_owned(units) {
            Ok(permit) => held.push(permit),
            Err(_) => {
                return Err(ApiError::away(
                    "too many large bodies come at once: try again",
                ));
            }
        }
        bytes.extend_from_slice(&data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_as_json_names_them() {
        assert_eq!(
            in_words("invalid type: string \"x\", expected usize at line 1 column 20"),
            "string \"x\" where a whole number from 0 is wanted (line 1, column 20)"
        );
        assert_eq!(
            in_words("invalid type: sequence, expected struct ImageRequest"),
            "sequence where an object is wanted"
        );
        assert_eq!(
            in_words("unknown field `sead`, expected `seed`"),
            "unknown field `sead`, expected `seed`"
        );
    }
}
