//! `/v1/images/generations`: what `orrery create` draws.

use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::extract::State;
use base::command::any_seed;
use base::media::provenance::{clip_bytes, image_bytes};
use engine::data::pack::Style;
use engine::device;
use serde::Deserialize;
use serde_json::{Value, json};
use video::stiv::embedded::{self, defaults};
use video::stiv::generation_params::SCALES;
use video::stiv::{Generated, GenerationParams, StivPipeline};

use super::Shared;
use super::base64;
use super::body::Parsed;
use super::error::ApiError;
use super::tasks::Left;

/// Most pictures of a request; clips take longer.
const MOST: [usize; 2] = [16, 2];
/// Most steps.
const STEPS: usize = 100;
/// Pixels of a drawing's side.
const SIDE: u32 = 32;

/// A request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRequest {
    prompt: String,
    model: Option<String>,
    n: Option<usize>,
    size: Option<String>,
    response_format: Option<String>,
    style: Option<String>,
    seed: Option<i64>,
    steps: Option<usize>,
    guidance: Option<f32>,
    #[serde(default)]
    video: bool,
    output_format: Option<String>,
    background: Option<String>,
    #[serde(default)]
    stream: bool,
    // What clients of OpenAI send and what makes no difference here.
    #[serde(rename = "quality")]
    _quality: Option<Value>,
    #[serde(rename = "user")]
    _user: Option<Value>,
    #[serde(rename = "moderation")]
    _moderation: Option<Value>,
    #[serde(rename = "output_compression")]
    _compression: Option<Value>,
    #[serde(rename = "partial_images")]
    _partial: Option<Value>,
}

/// The models that draw, read when they are first asked.
#[derive(Default)]
pub struct Pipelines {
    images: OnceLock<Result<Arc<StivPipeline>, String>>,
    clips: OnceLock<Result<StivPipeline, String>>,
}

impl Pipelines {
    fn images(&self) -> Result<&Arc<StivPipeline>, ApiError> {
        let open = || -> Result<_, String> {
            let device = device("cpu").map_err(|error| error.to_string())?;
            let images = embedded::images(&device).map_err(|error| error.to_string())?;
            Ok(Arc::new(images))
        };
        let images = self.images.get_or_init(open);
        images.as_ref().map_err(ApiError::failed)
    }

    /// The clip model, with the one that draws first frames.
    fn clips(&self) -> Result<&StivPipeline, ApiError> {
        let images = self.images()?;
        let open = || -> Result<_, String> {
            let device = device("cpu").map_err(|error| error.to_string())?;
            let clips = embedded::clips(&device).map_err(|error| error.to_string())?;
            Ok(clips.with_first_frame(images.clone()))
        };
        let clips = self.clips.get_or_init(open);
        clips.as_ref().map_err(ApiError::failed)
    }
}

impl ImageRequest {
    /// What the image depends on.
    fn params(&self) -> Result<GenerationParams, ApiError> {
        let most = MOST[usize::from(self.video)];
        let count = self.n.unwrap_or(1);
        if !(1..=most).contains(&count) {
            return Err(ApiError::param("n", format!("{count} are not 1 to {most}")));
        }
        let size = match self.size.as_deref() {
            None | Some("auto") => defaults::SCALE,
            Some(text) => scale(text).ok_or_else(|| {
                let sizes = SCALES.map(|scale| format!("{0}x{0}", scale * SIDE));
                ApiError::param("size", format!("give one of {}", sizes.join(", ")))
            })?,
        };
        if self
            .response_format
            .as_deref()
            .is_some_and(|format| format != "b64_json")
        {
            return Err(ApiError::param(
                "response_format",
                "pictures come as `b64_json`: nothing is kept here",
            ));
        }
        let format = if self.video { "apng" } else { "png" };
        let other = |wanted: &Option<String>, known: &[&str]| {
            wanted
                .as_deref()
                .is_some_and(|wanted| !known.contains(&wanted))
        };
        if other(&self.output_format, &["png", format]) {
            let line = format!(
                "pictures come as `png`, clips as `apng`: leave it out, or give `{format}`"
            );
            return Err(ApiError::param("output_format", line));
        }
        if other(&self.background, &["auto", "opaque"]) {
            let line = "pictures have their own ground: leave it out, or give `auto`";
            return Err(ApiError::param("background", line));
        }
        if self.stream {
            let line = "pictures come whole: leave it out, or give false";
            return Err(ApiError::param("stream", line));
        }
        if self.steps.is_some_and(|steps| steps > STEPS) {
            return Err(ApiError::param("steps", format!("give 1 to {STEPS}")));
        }
        let usual = GenerationParams::usual(self.prompt.trim(), self.video);
        // OpenAI's own two styles mean nothing here.
        let style = self
            .style
            .as_deref()
            .filter(|style| !["vivid", "natural", ""].contains(style));
        let style: Style = style
            .map_or(Ok(usual.style), str::parse)
            .map_err(|error| ApiError::param("style", error))?;
        let params = GenerationParams {
            seed: self.seed.map_or_else(any_seed, |seed| seed as u64),
            style,
            steps: self.steps.unwrap_or(usual.steps),
            guidance: self.guidance.unwrap_or(usual.guidance),
            size,
            image_first: self.video,
            ..usual
        };
        let params = params.with_style_scale(None);
        params.check()?;
        Ok(params)
    }
}

/// `256x256` → 8.
fn scale(text: &str) -> Option<u32> {
    let (width, height) = text.split_once('x')?;
    let side: u32 = width.parse().ok()?;
    (width == height && side.is_multiple_of(SIDE))
        .then_some(side / SIDE)
        .filter(|it| SCALES.contains(it))
}

/// Draws.
///
/// # Errors
/// [`ApiError`] for prompts that say nothing that can be drawn, and values out of range.
pub async fn generations(
    State(server): State<Shared>,
    Parsed(request): Parsed<ImageRequest>,
) -> Result<Json<Value>, ApiError> {
    let names = [embedded::IMAGES, embedded::CLIPS, "stiv", "create"];
    if let Some(model) = request
        .model
        .as_deref()
        .filter(|it| !it.is_empty() && !names.contains(it))
    {
        let model: String = model.chars().take(80).collect();
        return Err(ApiError::no_model(format!(
            "`{model}` does not draw here: leave `model` out, or give `create`"
        )));
    }
    let params = request.params()?;
    let count = request.n.unwrap_or(1);
    let inner = server.clone();
    let made = server
        .tasks
        .run(move |left| draw(&inner.pipelines, &params, count, left));
    made.await.map(Json)
}

fn draw(
    pipelines: &Pipelines,
    params: &GenerationParams,
    count: usize,
    left: &Left,
) -> Result<Value, ApiError> {
    let pipeline: &StivPipeline = match params.video {
        true => pipelines.clips()?,
        false => pipelines.images()?,
    };
    let analysis = pipeline.analyse(params)?;
    let style = analysis.style.unwrap_or(params.style);
    let mut data = Vec::new();
    for at in 0..count {
        let params = params.of_sample(at);
        let made = pipeline.generate(&params, &analysis, &mut |_, _| !left.is_true())?;
        data.push(json!({
            "b64_json": base64::encode(&encoded(&made, left)?), "revised_prompt": format!("{} in {style}", analysis.subject),
            "seed": params.seed,
        }));
    }
    Ok(json!({
        "created": super::now(), "data": data, "output_format": if params.video { "apng" } else { "png" },
        "warnings": pipeline.warnings(params, &analysis), "size": format!("{0}x{0}", params.size * SIDE),
    }))
}

/// One image or clip, as a PNG that says how it was made.
fn encoded(made: &Generated, left: &Left) -> Result<Vec<u8>, ApiError> {
    let gone = || ApiError::away("the client disconnected");
    let clip = made.clips.first().filter(|_| !left.is_true());
    let clip = clip
        .ok_or_else(gone)?
        .map(|picture| picture.upscale_nearest(made.params.size));
    let provenance = made.params.provenance().map_err(ApiError::failed)?;
    let encoded = match made.params.video {
        true => clip_bytes("a.apng", &clip, &provenance),
        false => image_bytes("a.png", &clip.frames[0], &provenance),
    };
    Ok(encoded.map_err(ApiError::failed)?.bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_bounds() {
        assert_eq!([scale("256x256"), scale("512x512")], [Some(8), Some(16)]);
        assert_eq!([scale("1024x1024"), scale("256x32"), scale("x")], [None; 3]);
        let params = |value: Value| {
            serde_json::from_value::<ImageRequest>(value)
                .unwrap()
                .params()
        };
        assert_eq!(
            params(json!({"prompt": "fox", "seed": 7, "size": "auto"}))
                .unwrap()
                .seed,
            7
        );
        for wrong in [
            json!({"prompt": ""}),
            json!({"prompt": "fox", "n": 0}),
            json!({"prompt": "fox", "n": 17}),
            json!({"prompt": "fox", "steps": 0}),
            json!({"prompt": "fox", "style": "x"}),
            json!({"prompt": "fox", "response_format": "url"}),
            json!({"prompt": "fox", "guidance": 1e9}),
        ] {
            assert!(params(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
