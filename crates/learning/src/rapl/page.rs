//! The ranking page on loopback: three videos side by side, ranked by keys.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base::command::{Context, Failure, Hold, eprint_line};
use base::media::gif_bytes;
use serde_json::{Value, json};

use super::command::rank::{Desk, standing};
use super::video::read_video;

const PAGE: &str = include_str!("page.html");
/// Largest request, in bytes.
const LARGEST: usize = 4096;
/// Least side of a video on the page, pixels.
const SIDE: u32 = 256;

type Shared = Arc<Mutex<Desk>>;

fn locked(desk: &Shared) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(status: StatusCode, line: &str) -> Response {
    (status, Json(json!({"error": line}))).into_response()
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src 'self'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, PAGE)
}

async fn next(State(desk): State<Shared>) -> Json<Value> {
    Json(standing(&locked(&desk)))
}

async fn video(State(desk): State<Shared>, Path(number): Path<usize>) -> Response {
    let Some(file) = locked(&desk).file(number) else {
        return refused(StatusCode::NOT_FOUND, "there is no such video");
    };
    let clip = read_video(&file)
        .map(|clip| clip.map(|frame| frame.upscale_nearest((SIDE / frame.width.max(1)).max(1))));
    let made = clip
        .map_err(Failure::from)
        .and_then(|clip| Ok(gif_bytes(&clip)?));
    match made {
        Ok(bytes) => ([(header::CONTENT_TYPE, "image/gif")], bytes).into_response(),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// An answer: numbers of videos, best first; none where they are skipped. `done` tells which triplet it is about.
#[derive(serde::Deserialize)]
struct Answer {
    done: usize,
    order: Option<[usize; 3]>,
}

async fn store(State(desk): State<Shared>, Json(answer): Json<Answer>) -> Response {
    let mut desk = locked(&desk);
    // Sent twice, or from another window.
    if answer.done == desk.done()
        && let Err(error) = desk.store(answer.order)
    {
        return refused(StatusCode::BAD_REQUEST, &error.to_string());
    }
    Json(standing(&desk)).into_response()
}

/// Serves the page on 127.0.0.1 until all is ranked or Ctrl-C.
///
/// # Errors
/// The port is taken.
pub fn serve(desk: Desk, port: u16, context: Context) -> Result<Desk, Failure> {
    let shared: Shared = Arc::new(Mutex::new(desk));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    // Ctrl-C lets requests that are under way end.
    let _hold = Hold::new();
    let state = shared.clone();
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|error| {
            Failure::input(format!(
                "cannot listen at port {port}: {error}: choose another with `--port`"
            ))
        })?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        eprint_line(&format!(
            "rank at http://{address} (Ctrl-C ends; every answer is kept)"
        ));
        let watched = state.clone();
        let app = Router::new()
            .route("/", get(page))
            .route("/api/next", get(next))
            .route("/api/ranking", post(store))
            .route("/video/{number}", get(video))
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(state);
        let stopped = async move {
            while !context.stopped() && locked(&watched).next().is_some() {
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
            // The page hears of the end before the server goes.
            tokio::time::sleep(Duration::from_millis(300)).await;
        };
        axum::serve(listener, app)
            .with_graceful_shutdown(stopped)
            .await
            .map_err(Failure::failed)
    })?;
    drop(runtime);
    match Arc::try_unwrap(shared) {
        Ok(desk) => Ok(desk.into_inner().unwrap_or_else(PoisonError::into_inner)),
        Err(_) => Err(Failure::failed(
            "the page did not end: every answer is kept",
        )),
    }
}
