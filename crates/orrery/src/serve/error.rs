//! Errors as OpenAI's clients read them.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::command::{Failure, one_line};
use serde_json::{Value, json};

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// OpenAI's `type`.
    kind: &'static str,
    /// OpenAI's `code`.
    code: Option<&'static str>,
    /// The field that is wrong.
    param: Option<Cow<'static, str>>,
    /// One line with cause and mend.
    message: String,
    /// Seconds after which another try may succeed.
    retry_after: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl std::fmt::Display) -> Self {
        Self {
            status,
            kind,
            code: None,
            param: None,
            message: one_line(&message.to_string()),
            retry_after: None,
        }
    }

    /// Something in the request cannot be used.
    pub fn input(message: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// The value of `param` cannot be used.
    pub fn param(param: &'static str, message: impl std::fmt::Display) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::input(message)
        }
    }

    /// The value of a field, which only the request names, cannot be used.
    pub fn field(field: String, message: impl std::fmt::Display) -> Self {
        Self {
            param: Some(field.into()),
            ..Self::input(message)
        }
    }

    /// Something went wrong on the way.
    pub fn failed(message: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    /// As many requests as may wait do so.
    pub fn full(message: impl std::fmt::Display, seconds: u64) -> Self {
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message);
        error.code = Some("rate_limit_exceeded");
        error.retry_after = Some(seconds.max(1));
        error
    }

    /// The server ends, or is not ready.
    pub fn away(message: impl std::fmt::Display) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message);
        error.retry_after = Some(5);
        error
    }

    /// No key, or one that is not known.
    pub fn key() -> Self {
        let message = "this server requires a valid key: send `Authorization: Bearer KEY`";
        let mut error = Self::new(StatusCode::UNAUTHORIZED, "authentication_error", message);
        error.code = Some("invalid_api_key");
        error
    }

    /// No model of that name.
    pub fn no_model(message: impl std::fmt::Display) -> Self {
        let mut error = Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message);
        error.code = Some("model_not_found");
        error.param = Some("model".into());
        error
    }

    /// Another status.
    pub fn status(status: StatusCode, message: impl std::fmt::Display) -> Self {
        let kind = match status.is_server_error() {
            true => "server_error",
            false => "invalid_request_error",
        };
        Self::new(status, kind, message)
    }

    /// The same with a code.
    pub fn coded(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// What is wrong, in one line.
    pub fn line(&self) -> &str {
        &self.message
    }

    /// The error object.
    pub fn object(&self) -> Value {
        json!({"error": {
            "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
        }})
    }
}

/// Bad input is the caller's; the rest is ours.
impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Input(line) => Self::input(line),
            Failure::Failed(line) => Self::failed(line),
            Failure::Interrupted(line) => Self::away(line),
        }
    }
}

impl From<engine::decode::DecodeError> for ApiError {
    fn from(error: engine::decode::DecodeError) -> Self {
        use engine::decode::DecodeError;
        match &error {
            DecodeError::TooLong { .. } => Self::input(&error).coded("context_length_exceeded"),
            DecodeError::Model(_) | DecodeError::NoToken(_) => Self::failed(&error),
            _ => Self::input(&error),
        }
    }
}

impl From<engine::text::TextError> for ApiError {
    fn from(error: engine::text::TextError) -> Self {
        Self::input(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.object())).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_look_like_openais() {
        let error = ApiError::full("the queue is full", 0);
        assert_eq!(error.object()["error"]["code"], "rate_limit_exceeded");
        let response = error.into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "1");
        let error = ApiError::param("top_p", "it is\n2");
        assert_eq!(error.object()["error"]["message"], "it is 2");
        assert_eq!(error.object()["error"]["param"], "top_p");
    }
}
