//! From generation parameters to a file, for every verb that draws.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use base::command::{
    Context, Failure, Steps, eprint_line, print_line, use_calling_thread_as_worker,
};
use base::media::sheet::{Layout, clip_sheet, sheet};
use base::media::{Clip, Image};
use engine::data::lexicon::MAX_CHARS;
use engine::device;
use engine::weights::Weights;
use serde_json::{Value, json};

use super::output::{self, Sheet};
use crate::stiv::embedded;
use crate::stiv::generation_params::GenerationParams;
use crate::stiv::pipeline::StivPipeline;
use crate::stiv::prompt_analysis::PromptAnalysis;

/// White pixels around the cells of a sheet.
const GAP: u32 = 8;

/// What to draw and where to put it.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// What the image depends on; its `model` is filled in.
    pub params: GenerationParams,
    /// Weights; absent: the embedded ones.
    pub model: Option<PathBuf>,
    /// The file; absent: a free name out of the prompt.
    pub out: Option<PathBuf>,
    /// Where it is drawn.
    pub device: String,
    /// One JSON object instead of words.
    pub json: bool,
    /// Neither a bar nor a line about what was written; warnings remain.
    pub quiet: bool,
}

/// What was drawn.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// The parameters as they were written.
    pub params: GenerationParams,
    /// What the prompt was taken to mean.
    pub analysis: PromptAnalysis,
    /// Where it is.
    pub path: PathBuf,
    /// What was written.
    pub sheet: Sheet,
    /// Frames of the first sample, 32×32.
    pub first: Vec<Image>,
    /// From start to file, in seconds.
    pub seconds: f64,
}

/// Draws and writes.
///
/// # Errors
/// One line with cause and fix; nothing is left behind.
pub fn draw(drawing: &Drawing, context: Context) -> Result<Drawn, Failure> {
    let begun = Instant::now();
    let mut params = drawing.params.clone();
    if params.prompt == output::STDOUT {
        params.prompt = prompt_from_stdin()?;
    }
    params.check()?;
    if let Some(out) = &drawing.out {
        output::check(out, params.video)?;
    }
    use_calling_thread_as_worker();
    let pipeline = open(drawing)?;
    let analysis = pipeline.analyse(&params)?;
    for line in pipeline.warnings(&params, &analysis) {
        eprint_line(&format!("warning: {line}"));
    }
    let mut bar = Steps::new("drawing", drawing.json || drawing.quiet);
    let made = pipeline.generate(&params, &analysis, &mut |done, total| {
        bar.at(done, total);
        !context.stopped()
    })?;
    bar.finish();
    if context.stopped() || made.clips.len() < params.count {
        return Err(Failure::interrupted("stopped: nothing was written"));
    }
    let params = made.params;
    let sheet = arrange(&params, &made.clips)?;
    let provenance = params.provenance()?;
    let path = match &drawing.out {
        Some(out) => {
            sheet.write(out, &provenance)?;
            out.clone()
        }
        None => sheet.write_new(&params.prompt, &analysis.subject, params.video, &provenance)?,
    };
    Ok(Drawn {
        first: made.clips[0].frames.clone(),
        params,
        analysis,
        path,
        sheet,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// The prompt on standard input, without the spaces around it. What is too long is refused later.
fn prompt_from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    // A few bytes more than any prompt has: too long a one is seen to be.
    let most = 8 * MAX_CHARS as u64;
    let read = std::io::stdin().lock().take(most).read_to_string(&mut text);
    read.map_err(|cause| {
        Failure::input(format!(
            "the prompt cannot be read from standard input ({cause}): send text in UTF-8"
        ))
    })?;
    Ok(text.trim().to_owned())
}

fn open(drawing: &Drawing) -> Result<StivPipeline, Failure> {
    let (device, params) = (device(&drawing.device)?, &drawing.params);
    let pipeline = match (&drawing.model, params.video) {
        (Some(path), _) => StivPipeline::open(&Weights::open(path)?, &device)?,
        (None, true) => embedded::clips(&device)?,
        (None, false) => embedded::images(&device)?,
    };
    Ok(match params.image_first {
        true => pipeline.with_first_frame(Arc::new(embedded::images(&device)?)),
        false => pipeline,
    })
}

/// One sample as it is, several on a sheet with the seed below each.
fn arrange(params: &GenerationParams, clips: &[Clip]) -> Result<Sheet, Failure> {
    let captions: Vec<String> = (0..params.count)
        .map(|i| format!("seed {}", params.of_sample(i).seed))
        .collect();
    let captions: Vec<&str> = captions.iter().map(String::as_str).collect();
    let layout = Layout {
        columns: None,
        gap: GAP,
        scale: params.size,
    };
    let large = |picture: &Image| picture.upscale_nearest(params.size);
    Ok(match (params.video, clips) {
        (true, [clip]) => Sheet::Moving(clip.map(large)),
        (true, _) => Sheet::Moving(clip_sheet(clips, &captions, &layout)?),
        (false, [image]) => Sheet::Still(large(&image.frames[0])),
        (false, _) => {
            let images: Vec<Image> = clips.iter().map(|clip| clip.frames[0].clone()).collect();
            Sheet::Still(sheet(&images, &captions, &layout)?)
        }
    })
}

/// Says what was drawn: one line for people, one object for machines.
///
/// # Errors
/// When standard output cannot be written.
pub fn report(drawn: &Drawn, drawing: &Drawing) -> Result<(), Failure> {
    let Drawn {
        params, analysis, ..
    } = drawn;
    let style = analysis.style.unwrap_or(params.style).name();
    let (width, height, frames) = drawn.sheet.size();
    if drawing.json {
        let unknown: Vec<&String> = analysis.unknown.iter().map(|(word, _)| word).collect();
        let corrected = analysis.corrected.iter();
        let corrected: Vec<Value> = corrected
            .map(|(typed, read)| json!({"typed": typed, "read": read}))
            .collect();
        return print(drawn, &json!({
            "out": base::files::shown(&drawn.path), "width": width, "height": height, "frames": frames,
            "prompt": params.prompt, "subject": analysis.subject, "probability": analysis.probability,
            "candidates": analysis.candidates, "unknown": unknown, "corrected": corrected,
            "left_out": analysis.left_out, "style": style,
            "seed": params.seed, "count": params.count, "model": params.model,
            "steps": params.steps, "guidance": params.guidance,
            "style_guidance": params.guidance_style.unwrap_or(params.guidance), "guided_until": params.guided_until,
            "renorm": params.renorm, "seconds": (drawn.seconds * 1000.0).round() / 1000.0,
        }).to_string());
    }
    if drawing.quiet {
        return Ok(());
    }
    let subject = match analysis.subject.as_str() {
        "" => String::new(),
        subject => format!("{subject} in "),
    };
    let times = match params.count {
        1 => String::new(),
        count => format!("{count} times "),
    };
    print(
        drawn,
        &format!(
            "wrote {}: {times}{subject}{style}, {width}x{height}, seed {}, {:.1} s",
            drawn.path.display(),
            params.seed,
            drawn.seconds
        ),
    )
}

/// A line about what was drawn, beside standard output where the image itself went there.
fn print(drawn: &Drawn, line: &str) -> Result<(), Failure> {
    if output::is_device(&drawn.path) && drawn.path != Path::new("/dev/null") {
        eprint_line(line);
        return Ok(());
    }
    print_line(line)
}
