//! `/v1/images/generations`: what `orrery create` draws.

use std::sync::OnceLock;

use axum::Json;
use axum::extract::State;
use base::command::any_seed;
use base::media::{Clip, Picture, apng_bytes, png_bytes};
use engine::data::pack::Style;
use engine::device;
use serde::Deserialize;
use serde_json::{Value, json};
use video::stiv::command::painter::from_pictures;
use video::stiv::command::reading::{self, Reading};
use video::stiv::command::ticket::{KEY, SCALES, Ticket};
use video::stiv::embedded::{self, defaults};
use video::stiv::studio::{Order, Studio};

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
}

/// The models that draw, read when they are first asked.
#[derive(Default)]
pub struct Studios {
    painter: OnceLock<Result<Studio, String>>,
    clips: OnceLock<Result<Studio, String>>,
}

impl Studios {
    fn painter(&self) -> Result<&Studio, ApiError> {
        let open = || {
            let device = device("cpu").map_err(|error| error.to_string())?;
            embedded::pictures(&device).map_err(|error| error.to_string())
        };
        self.painter
            .get_or_init(open)
            .as_ref()
            .map_err(ApiError::failed)
    }

    fn clips(&self) -> Result<&Studio, ApiError> {
        let open = || {
            let device = device("cpu").map_err(|error| error.to_string())?;
            embedded::clips(&device).map_err(|error| error.to_string())
        };
        self.clips
            .get_or_init(open)
            .as_ref()
            .map_err(ApiError::failed)
    }
}

impl ImageRequest {
    /// What the picture depends on.
    fn ticket(&self) -> Result<Ticket, ApiError> {
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
        if self.steps.is_some_and(|steps| steps > STEPS) {
            return Err(ApiError::param("steps", format!("give 1 to {STEPS}")));
        }
        let usual = if self.video {
            defaults::CLIP_STYLE
        } else {
            defaults::STYLE
        };
        // OpenAI's own two styles mean nothing here.
        let style = self
            .style
            .as_deref()
            .filter(|style| !["vivid", "natural", ""].contains(style));
        let style: Style = style
            .map_or(Ok(usual), str::parse)
            .map_err(|error| ApiError::param("style", error))?;
        let guidance = self.guidance.unwrap_or(match self.video {
            true => defaults::CLIP_GUIDANCE,
            false => defaults::GUIDANCE,
        });
        let emphasis =
            (!self.video && guidance > 1.0).then_some(guidance * defaults::STYLE_EMPHASIS);
        let ticket = Ticket {
            prompt: self.prompt.trim().to_owned(),
            seed: self.seed.map_or_else(any_seed, |seed| seed as u64),
            style: style.name().to_owned(),
            steps: self.steps.unwrap_or(defaults::STEPS),
            guidance,
            guidance_style: emphasis,
            guided_until: if self.video {
                1.0
            } else {
                defaults::GUIDED_UNTIL
            },
            size,
            video: self.video,
            picture_first: self.video,
            ..Ticket::default()
        };
        reading::check(&ticket.prompt, true)?;
        match ticket.problem() {
            Some(problem) => Err(ApiError::input(problem)),
            None => Ok(ticket),
        }
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
    let names = [embedded::PICTURES, embedded::CLIPS, "stiv", "create"];
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
    let ticket = request.ticket()?;
    let count = request.n.unwrap_or(1);
    let inner = server.clone();
    let made = server
        .tasks
        .run(move |left| draw(&inner.studios, &ticket, count, left));
    made.await.map(Json)
}

fn draw(studios: &Studios, ticket: &Ticket, count: usize, left: &Left) -> Result<Value, ApiError> {
    let painter = studios.painter()?;
    let reading = reading::read(painter, &ticket.prompt);
    if !reading.known {
        return Err(reading.refusal().into());
    }
    let clips = if ticket.video {
        Some(studios.clips()?)
    } else {
        None
    };
    let mut data = Vec::new();
    for at in 0..count {
        let mut ticket = ticket.clone();
        ticket.seed = ticket.seed.wrapping_add(at as u64);
        ticket.told = Some(reading.told.clone());
        ticket.model = named(painter, embedded::PICTURES);
        if let Some(clips) = clips {
            ticket.model = format!("{} {}", ticket.model, named(clips, embedded::CLIPS));
        }
        let bytes = one(painter, clips, &ticket, &reading, left)?;
        let style = reading
            .style
            .map_or(ticket.style.as_str(), |style| style.name());
        data.push(json!({
            "b64_json": base64::encode(&bytes), "revised_prompt": format!("{} in {style}", reading.subject),
            "seed": ticket.seed,
        }));
    }
    let warnings: Vec<String> = reading.warnings(&ticket.prompt);
    let warnings: Vec<&str> = warnings
        .iter()
        .map(|line| line.trim_start_matches("warning: "))
        .collect();
    Ok(json!({
        "created": super::now(), "data": data, "output_format": "png", "warnings": warnings,
        "size": format!("{0}x{0}", ticket.size * SIDE),
    }))
}

fn named(studio: &Studio, name: &str) -> String {
    format!("{name} {}", studio.id).trim_end().to_owned()
}

/// One picture or clip, as a PNG that says how it was made.
fn one(
    painter: &Studio,
    clips: Option<&Studio>,
    ticket: &Ticket,
    reading: &Reading,
    left: &Left,
) -> Result<Vec<u8>, ApiError> {
    let order = Order {
        prompt: reading.told.clone(),
        style: ticket.style(),
        count: 1,
        seed: ticket.seed,
        sample: ticket.sampling(),
    };
    let note = [(KEY.to_owned(), ticket.to_json())];
    let mut each = |_: usize, _: usize| !left.is_true();
    let large = |picture: &Picture| picture.upscale_nearest(ticket.size);
    let gone = || ApiError::away("nobody waits for it");
    let bytes = match clips {
        None => {
            let pictures = painter
                .pictures(&order, &mut each)
                .map_err(ApiError::failed)?;
            let picture = pictures
                .first()
                .filter(|_| !left.is_true())
                .ok_or_else(gone)?;
            png_bytes(&large(picture), &note)
        }
        Some(studio) => {
            let made = from_pictures(studio, painter, &reading.code, &order, &mut each)
                .map_err(ApiError::failed)?;
            let clip: &Clip = made.first().filter(|_| !left.is_true()).ok_or_else(gone)?;
            apng_bytes(&clip.map(large), &note)
        }
    };
    bytes.map_err(ApiError::failed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_bounds() {
        assert_eq!([scale("256x256"), scale("512x512")], [Some(8), Some(16)]);
        assert_eq!([scale("1024x1024"), scale("256x32"), scale("x")], [None; 3]);
        let ticket = |value: Value| {
            serde_json::from_value::<ImageRequest>(value)
                .unwrap()
                .ticket()
        };
        assert_eq!(
            ticket(json!({"prompt": "fox", "seed": 7, "size": "auto"}))
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
            assert!(ticket(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
