//! What there is: one table of which the router is made, and which the OpenAPI document is checked against.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use base::system::System;
use serde_json::{Value, json};

use super::error::ApiError;
use super::{
    Shared, chat, completions, counterspeech, embeddings, gate, guard, images, judge, page, wind,
};
use crate::cards::{self, Language};
use crate::registry;

/// A path and what it does.
pub struct Route {
    /// The method, in small letters, for the check of the document.
    #[cfg_attr(not(test), allow(dead_code))]
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// Whether it is open to whoever has no key.
    pub open: bool,
    /// Whether its requests are logged.
    pub logged: bool,
    handler: fn() -> MethodRouter<Shared>,
}

const fn open(path: &'static str, handler: fn() -> MethodRouter<Shared>) -> Route {
    Route {
        method: "get",
        path,
        open: true,
        logged: false,
        handler,
    }
}

const fn reads(path: &'static str, handler: fn() -> MethodRouter<Shared>) -> Route {
    Route {
        method: "get",
        path,
        open: false,
        logged: true,
        handler,
    }
}

const fn takes(path: &'static str, handler: fn() -> MethodRouter<Shared>) -> Route {
    Route {
        method: "post",
        path,
        open: false,
        logged: true,
        handler,
    }
}

/// All of them.
pub const ROUTES: &[Route] = &[
    open("/", || get(page::index)),
    open("/style.css", || get(page::style)),
    open("/app.js", || get(page::script)),
    open("/words.js", || get(page::words)),
    open("/healthz", || get(health)),
    open("/openapi.json", || get(document)),
    Route {
        logged: false,
        ..reads("/metrics", || get(metrics))
    },
    reads("/v1/models", || get(models)),
    takes("/v1/chat/completions", || post(chat::completions)),
    takes("/v1/completions", || post(completions::completions)),
    takes("/v1/embeddings", || post(embeddings::embeddings)),
    takes("/v1/moderations", || post(guard::moderations)),
    takes("/v1/guardian/check", || post(guard::check)),
    takes("/v1/images/generations", || post(images::generations)),
    takes("/v1/judge/omnidocbench", || post(judge::omnidocbench)),
    takes("/v1/counterspeech", || post(counterspeech::reply)),
    takes("/wind/generate", || post(wind::generate)),
    takes("/wind/detect", || post(wind::detect)),
    reads("/v1/systems", || get(systems)),
];

/// The OpenAPI document.
const DOCUMENT: &str = include_str!("openapi.json");

/// The router of a server.
pub fn router(server: Shared) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.handler)().fallback(gate::other_method));
    }
    router
        .fallback(gate::nowhere)
        .layer(from_fn_with_state(server.clone(), gate::pass))
        .with_state(server)
}

async fn health(State(server): State<Shared>) -> Result<Json<Value>, ApiError> {
    match server.context.stopped() {
        true => Err(ApiError::away("the server is stopping")),
        false => Ok(Json(json!({"status": "ok"}))),
    }
}

async fn metrics(State(server): State<Shared>) -> impl IntoResponse {
    let count = server.models.in_memory().len();
    server.metrics.models.set(count as i64);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], server.metrics.text())
}

async fn models(State(server): State<Shared>) -> Json<Value> {
    let loaded = server.models.in_memory();
    let models = server.models.ids().map(|id| {
        json!({
            "id": id, "object": "model", "created": server.models.created(), "owned_by": "orrery",
            "loaded": loaded.iter().any(|it| it == id),
        })
    });
    Json(json!({"object": "list", "data": models.collect::<Vec<_>>()}))
}

/// The cards of all systems in both languages, and what their proofs measured.
async fn systems() -> Result<Json<Value>, ApiError> {
    let card = |system: &System| {
        let slug = system.card.slug;
        Ok(json!({
            "slug": slug, "domain": system.card.domain, "paper": system.card.paper, "status": system.status(),
            "weights": system.card.weights, "licence": system.card.licence,
            "en": cards::digest(&system.card, Language::En)?, "ko": cards::digest(&system.card, Language::Ko)?,
            "measured": cards::measured(slug)?,
        }))
    };
    let cards: Result<Vec<Value>, ApiError> = registry::systems().map(card).collect();
    Ok(Json(json!({"object": "list", "data": cards?})))
}

async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_lists_the_routes() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let documented: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods
                    .map(|method| (path.clone(), method.clone()))
                    .collect::<Vec<_>>()
            })
            .collect();
        let there: BTreeSet<(String, String)> = ROUTES
            .iter()
            .map(|it| (it.path.to_owned(), it.method.to_owned()))
            .collect();
        assert_eq!(documented, there);
    }
}
