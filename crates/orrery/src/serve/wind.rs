//! `/wind/generate` and `/wind/detect`: pictures with a mark in their noise. The salt never leaves the process.

use axum::Json;
use axum::extract::State;
use base::command::Stopped;
use base::media::{decode_still, png_bytes};
use image_systems::wind::{
    Detector, IdealWorld, Key, LatentModel, Mode, Search, SystemError, TurnBack, readings,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::base64;
use super::body::Parsed;
use super::error::ApiError;

/// Most angles that are tried.
const ANGLES: usize = 90;
/// Longest prompt.
const LONGEST: usize = 1000;

/// A key with the world in which it marks.
pub struct Marks {
    detector: Detector,
    world: IdealWorld,
}

impl Marks {
    /// Marks of `key` in the world whose denoiser has a closed form.
    ///
    /// # Errors
    /// [`SystemError`] where its latents cannot carry the key's groups.
    pub fn new(key: Key) -> Result<Self, SystemError> {
        let world = IdealWorld::usual();
        let detector = Detector::new(key, world.shape())?;
        Ok(Self { detector, world })
    }
}

impl From<SystemError> for ApiError {
    fn from(error: SystemError) -> Self {
        match error {
            SystemError::Stopped(_) => Self::away(error),
            SystemError::Failed(_) => Self::failed(error),
            _ => Self::input(error),
        }
    }
}

/// A request of [`generate`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeRequest {
    #[serde(default)]
    prompt: String,
    index: Option<u64>,
}

/// A request of [`detect`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindRequest {
    image: String,
    #[serde(default)]
    angles: Vec<f32>,
    #[serde(default)]
    full: bool,
}

fn no_key() -> ApiError {
    ApiError::away(
        "this server has no key for marks: start it with `--wind-key` (`orrery wind keygen` makes one)",
    )
}

/// A marked picture.
///
/// # Errors
/// [`ApiError`].
pub async fn generate(
    State(server): State<Shared>,
    Parsed(request): Parsed<MakeRequest>,
) -> Result<Json<Value>, ApiError> {
    if request.prompt.chars().count() > LONGEST {
        return Err(ApiError::param(
            "prompt",
            format!("give at most {LONGEST} characters"),
        ));
    }
    let inner = server.clone();
    let made = server.tasks.run(move |_| {
        let marks = inner.marks.as_ref().ok_or_else(no_key)?;
        let key = marks.detector.key();
        let index = match request.index {
            Some(index) => index,
            None => key.draw()?,
        };
        let picture = marks
            .world
            .generate(&marks.detector.initial(index)?, &request.prompt)?;
        let bytes = png_bytes(&picture, &[]).map_err(ApiError::failed)?;
        Ok(json!({
            "created": super::now(), "key": key.id(), "index": index, "group": key.group_of(index),
            "data": [{"b64_json": base64::encode(&bytes)}],
        }))
    });
    made.await.map(Json)
}

/// Which noise a picture began with.
///
/// # Errors
/// [`ApiError`].
pub async fn detect(
    State(server): State<Shared>,
    Parsed(request): Parsed<FindRequest>,
) -> Result<Json<Value>, ApiError> {
    if request.angles.len() > ANGLES || request.angles.iter().any(|angle| !angle.is_finite()) {
        return Err(ApiError::param(
            "angles",
            format!("give at most {ANGLES} angles in degrees"),
        ));
    }
    let bytes = base64::decode(&request.image).ok_or_else(|| {
        ApiError::param("image", "give a picture in base64, or a `data:` address")
    })?;
    let inner = server.clone();
    let found = server.tasks.run(move |left| {
        let marks = inner.marks.as_ref().ok_or_else(no_key)?;
        let still =
            decode_still(&bytes, "image").map_err(|error| ApiError::param("image", error))?;
        let angles = if request.angles.is_empty() {
            vec![0.0]
        } else {
            request.angles
        };
        let readings = readings(&marks.world, &still.picture, &angles, TurnBack::default())?;
        let search = Search {
            mode: if request.full { Mode::Full } else { Mode::Fast },
            ..Search::default()
        };
        let mut progress = |_: u64, _: u64| match left.is_true() {
            true => Err(SystemError::Stopped(Stopped(
                "stopped; nothing was written",
            ))),
            false => Ok(()),
        };
        let found = marks
            .detector
            .detect_all(&[readings], &search, &mut progress)?;
        let found = found
            .into_iter()
            .next()
            .ok_or_else(|| ApiError::failed("nothing was compared"))?;
        let mut answer = serde_json::to_value(&found).map_err(ApiError::failed)?;
        answer["alpha"] = json!(search.alpha);
        answer["key"] = json!(marks.detector.key().id());
        Ok(answer)
    });
    found.await.map(Json)
}
