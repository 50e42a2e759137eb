//! What every request passes: its id, who may ask, how much, from which page, and what is noted of it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::command::{eprint_line, is_quiet};
use http_body::{Frame, SizeHint};

use super::connection::{Occupied, Peer};
use super::error::ApiError;
use super::metrics::Ended;
use super::routes::{ROUTES, Route};
use super::{Server, Shared};

/// A request's name, for logs and for whoever asked.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The key of a request: spends its tokens.
#[derive(Clone)]
pub struct Purse(Option<(Shared, usize)>);

impl Purse {
    /// Counts tokens.
    pub fn spend(&self, tokens: usize) {
        if let Some((server, at)) = &self.0
            && let Some(keys) = &server.keys
        {
            keys.spend(*at, tokens as u64);
        }
    }
}

/// What ends with the answer.
struct Guard {
    server: Shared,
    key: Option<usize>,
    _occupied: Option<Occupied>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.server.metrics.running.dec();
        if let (Some(keys), Some(at)) = (&self.server.keys, self.key) {
            keys.end(at);
        }
    }
}

/// A body that holds a guard until its end.
struct Guarded {
    body: Body,
    _guard: Guard,
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Looks at a request, lets it through, and notes what came of it.
pub async fn pass(State(server): State<Shared>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = id(request.headers());
    let path = request.extensions().get::<MatchedPath>();
    let route = ROUTES
        .iter()
        .find(|route| path.is_some_and(|path| path.as_str() == route.path));
    let method = request.method().clone();
    let origin = request.headers().get(header::ORIGIN).cloned();
    server.metrics.running.inc();
    let mut guard = Guard {
        server: server.clone(),
        key: None,
        _occupied: request
            .extensions()
            .get::<ConnectInfo<Peer>>()
            .map(|peer| peer.0.occupy()),
    };
    let allowed = origin
        .as_ref()
        .filter(|it| server.names_origin(it))
        .cloned();
    let mut response = match admit(&server, &request, route, &mut guard) {
        Err(error) => {
            if error.status == StatusCode::TOO_MANY_REQUESTS {
                server.metrics.refused.inc();
            }
            error.into_response()
        }
        Ok(()) if method == Method::OPTIONS && allowed.is_some() => preflight(),
        Ok(()) => {
            let purse = guard.key.map(|at| (server.clone(), at));
            request.extensions_mut().insert(Purse(purse));
            request.extensions_mut().insert(RequestId(id.clone()));
            next.run(request).await
        }
    };
    let status = response.status();
    let ended = Ended {
        route: route.map_or("other", |route| route.path),
        status: status.as_u16(),
    };
    server.metrics.requests.get_or_create(&ended).inc();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
    if !is_quiet() && route.is_none_or(|route| route.logged) {
        let key = guard
            .key
            .and_then(|at| Some(server.keys.as_ref()?.name(at).to_owned()));
        eprint_line(&format!(
            "{id} {method} {} {} {} ms{}",
            ended.route,
            status.as_u16(),
            begun.elapsed().as_millis(),
            key.map(|key| format!(" {key}")).unwrap_or_default()
        ));
    }
    response.map(|body| {
        Body::new(Guarded {
            body,
            _guard: guard,
        })
    })
}

/// Whether a request may be answered; its key begins.
fn admit(
    server: &Server,
    request: &Request,
    route: Option<&Route>,
    guard: &mut Guard,
) -> Result<(), ApiError> {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
    // A page of the net whose name was made to point here must not reach a server that trusts its own machine.
    if server.loopback && !host.is_some_and(is_local) {
        return Err(ApiError::status(
            StatusCode::FORBIDDEN,
            "this server answers to `localhost` and `127.0.0.1`: use one of these addresses",
        ));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let own = origin
            .to_str()
            .ok()
            .zip(host)
            .is_some_and(|(origin, host)| {
                origin
                    .split_once("://")
                    .is_some_and(|(_, place)| place == host)
            });
        if !own && !server.names_origin(origin) {
            return Err(ApiError::status(
                StatusCode::FORBIDDEN,
                "pages of this origin may not ask: start the server with `--allow-origin`",
            ));
        }
        if !own && request.method() == Method::OPTIONS {
            return Ok(());
        }
    }
    let open = route.is_none_or(|route| route.open);
    if let (Some(keys), false) = (&server.keys, open) {
        guard.key = Some(keys.begin(bearer(headers))?);
    }
    Ok(())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, x-request-id",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Whether a `Host` is this machine.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost")
        || name == "[::1]"
        || name
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|it| it.is_loopback())
}

/// The request's own id where it is a plain one, else a new one.
fn id(headers: &HeaderMap) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let plain = |id: &&str| {
        (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it))
    };
    let given = headers.get("x-request-id").and_then(|id| id.to_str().ok());
    given.filter(plain).map_or_else(
        || {
            let mut hash = RandomState::new().build_hasher();
            hash.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
            format!("req-{:016x}", hash.finish())
        },
        str::to_owned,
    )
}

/// The answer to what is not a route.
pub async fn nowhere() -> ApiError {
    ApiError::status(
        StatusCode::NOT_FOUND,
        "there is nothing here: `/openapi.json` lists what there is",
    )
}

/// The answer to a route asked with another method.
pub async fn other_method() -> ApiError {
    ApiError::status(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path takes another method: `/openapi.json` says which",
    )
}

impl Server {
    /// Whether pages of `origin` may ask.
    fn names_origin(&self, origin: &HeaderValue) -> bool {
        self.origins
            .iter()
            .any(|it| it == "*" || it.as_bytes() == origin.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8080",
            "[::1]:1",
            "127.3.2.1",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "",
            "10.0.0.1",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn ids_are_plain() {
        let mut headers = HeaderMap::new();
        assert!(id(&headers).starts_with("req-") && id(&headers) != id(&headers));
        headers.insert("x-request-id", HeaderValue::from_static("a b"));
        assert!(id(&headers).starts_with("req-"));
        headers.insert("x-request-id", HeaderValue::from_static("mine-7"));
        assert_eq!(id(&headers), "mine-7");
    }
}
