//! `/v1/embeddings`: the mean of a model's last hidden states.

use axum::extract::State;
use axum::{Extension, Json};
use engine::models::decoder::{Cache, Input, Logits, Request, Segment};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::base64;
use super::body::Parsed;
use super::error::ApiError;
use super::gate::Purse;
use super::models::Model;
use super::settings::OneOrMany;

/// Most texts of a request.
const MOST: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`input` is a text, a list of texts, a list of tokens, or a list of such lists"
)]
enum Inputs {
    Texts(OneOrMany),
    Tokens(Vec<u32>),
    Many(Vec<Vec<u32>>),
}

/// A request.
#[derive(Debug, Deserialize)]
pub struct EmbeddingRequest {
    input: Inputs,
    model: Option<String>,
    encoding_format: Option<String>,
    dimensions: Option<usize>,
}

/// Vectors of length 1, `[width]` each.
///
/// # Errors
/// [`ApiError`].
pub async fn embeddings(
    State(server): State<Shared>,
    Extension(purse): Extension<Purse>,
    Parsed(request): Parsed<EmbeddingRequest>,
) -> Result<Json<Value>, ApiError> {
    let plain = match request.encoding_format.as_deref() {
        None | Some("float") => true,
        Some("base64") => false,
        Some(_) => {
            return Err(ApiError::param(
                "encoding_format",
                "give `float` or `base64`",
            ));
        }
    };
    let (model, adapters) = server.models.get(request.model.as_deref()).await?;
    let width = model.decoder().config().width;
    if request
        .dimensions
        .is_some_and(|dimensions| dimensions != width)
    {
        return Err(ApiError::param(
            "dimensions",
            format!("vectors of this model have {width} values: leave it out"),
        ));
    }
    if !adapters.is_empty() {
        return Err(ApiError::param(
            "model",
            "vectors come without adapters: name the model below",
        ));
    }
    let name = request.model.clone().unwrap_or_else(|| model.id.clone());
    let limit = server.bounds.context;
    let work = server.tasks.run(move |left| {
        let inputs = tokens(&model, &request.input)?;
        if inputs.is_empty() || inputs.len() > MOST {
            return Err(ApiError::param("input", format!("give 1 to {MOST} texts")));
        }
        let mut vectors = Vec::new();
        for ids in &inputs {
            if left.is_true() {
                return Err(ApiError::away("the client disconnected"));
            }
            vectors.push(vector(&model, ids, limit)?);
        }
        Ok((vectors, inputs.iter().map(Vec::len).sum::<usize>()))
    });
    let (vectors, count) = work.await?;
    purse.spend(count);
    let data = vectors.into_iter().enumerate().map(|(index, vector)| {
        let embedding = match plain {
            true => json!(vector),
            false => {
                let bytes: Vec<u8> = vector
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect();
                json!(base64::encode(&bytes))
            }
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    Ok(Json(json!({
        "object": "list", "model": name, "data": data.collect::<Vec<_>>(),
        "usage": {"prompt_tokens": count, "total_tokens": count},
    })))
}

fn tokens(model: &Model, inputs: &Inputs) -> Result<Vec<Vec<u32>>, ApiError> {
    let encode = |text: &String| model.encode(text, "input");
    match inputs {
        Inputs::Texts(OneOrMany::One(text)) => Ok(vec![encode(text)?]),
        Inputs::Texts(OneOrMany::Many(texts)) => texts.iter().map(encode).collect(),
        Inputs::Tokens(ids) => Ok(vec![ids.clone()]),
        Inputs::Many(lists) => Ok(lists.clone()),
    }
}

fn vector(model: &Model, ids: &[u32], limit: usize) -> Result<Vec<f32>, ApiError> {
    let decoder = model.decoder();
    let mut cache = Cache::new(decoder.config());
    let limit = limit.min(cache.limit());
    if ids.is_empty() || ids.len() > limit {
        return Err(ApiError::param(
            "input",
            format!("a text has {} tokens, not 1 to {limit}", ids.len()),
        ));
    }
    let request = Request {
        logits: Logits::None,
        hidden: true,
        ..Request::default()
    };
    let outputs = decoder.forward(&mut [Segment::new(Input::Ids(ids), &mut cache)], &request);
    let hidden = outputs
        .map_err(ApiError::input)?
        .into_iter()
        .next()
        .unwrap_or_default()
        .hidden;
    let mut sum = vec![0.0f64; decoder.config().width];
    for state in hidden.chunks_exact(sum.len().max(1)) {
        sum.iter_mut()
            .zip(state)
            .for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let length = sum
        .iter()
        .map(|value| value * value)
        .sum::<f64>()
        .sqrt()
        .max(1e-30);
    Ok(sum.iter().map(|value| (value / length) as f32).collect())
}
