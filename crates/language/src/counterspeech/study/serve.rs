//! The form: a page on loopback that hands out the design and takes in answers.
//!
//! An answer is stored when it is on the disk, once for each participant and place: the page sends it again until it hears
//! so, and what was stored first stays.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base::command::{Context, Failure, Hold};
use serde_json::{Value, json};

use super::form::{Refused, Sent, Study, Wanted};

const PAGE: &str = include_str!("page.html");
/// Largest request, in bytes.
const LARGEST: usize = 256 << 10;

type Shared = Arc<Mutex<Study>>;

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, line) = match self {
            Self::Wrong(line) => (StatusCode::BAD_REQUEST, line),
            Self::Unknown => (
                StatusCode::NOT_FOUND,
                "nobody has joined from this page, or the answers were withdrawn: load it again and give consent"
                    .to_owned(),
            ),
            Self::Full => (
                StatusCode::CONFLICT,
                "the study has all its participants; thank you".to_owned(),
            ),
            Self::Failed(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        };
        (status, Json(json!({"error": line}))).into_response()
    }
}

fn locked(study: &Shared) -> MutexGuard<'_, Study> {
    study.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, PAGE)
}

async fn about(State(study): State<Shared>) -> Json<Value> {
    Json(locked(&study).about())
}

async fn join(
    State(study): State<Shared>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Value>, Refused> {
    locked(&study).join(wanted).map(Json)
}

async fn answers(
    State(study): State<Shared>,
    Json(sent): Json<Sent>,
) -> Result<Json<Value>, Refused> {
    locked(&study).store(sent).map(Json)
}

/// Serves the form of the study in `folder` on loopback until Ctrl-C; `ready` hears the address.
///
/// # Errors
/// The folder holds no whole study, or the port is taken.
pub fn serve(
    folder: &Path,
    port: u16,
    context: Context,
    ready: impl FnOnce(SocketAddr) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let study: Shared = Arc::new(Mutex::new(Study::open(folder)?));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    // Ctrl-C lets requests that are under way end.
    let _hold = Hold::new();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|error| {
            Failure::input(format!(
                "cannot listen at port {port}: {error}: choose another with `--port`"
            ))
        })?;
        ready(listener.local_addr().map_err(Failure::failed)?)?;
        let app = Router::new()
            .route("/", get(page))
            .route("/api/study", get(about))
            .route("/api/join", post(join))
            .route("/api/answers", post(answers))
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(study);
        let stopped = async move {
            while !context.stopped() {
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        };
        axum::serve(listener, app)
            .with_graceful_shutdown(stopped)
            .await
            .map_err(Failure::failed)
    })
}
