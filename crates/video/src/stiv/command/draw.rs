//! The one way from a ticket to a file, for every verb that draws.

use std::path::{Path, PathBuf};
use std::time::Instant;

use base::command::{Context, Failure, Steps, say, take_part, tell};
use base::media::sheet::{Layout, clip_sheet, sheet};
use base::media::{Clip, Picture};
use engine::device;
use engine::weights::Weights;
use serde_json::json;

use super::output::{self, Sheet};
use super::painter::{Painter, from_pictures};
use super::reading::{self, Reading};
use super::ticket::Ticket;
use crate::stiv::embedded;
use crate::stiv::studio::{Order, Studio};

/// White pixels around the cells of a sheet.
const GAP: u32 = 8;

/// What to draw and where to put it.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// What the picture depends on; its `model` is filled in.
    pub ticket: Ticket,
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
    /// Whether the prompt may be empty.
    pub wordless: bool,
}

/// What was drawn.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// The ticket as it was written.
    pub ticket: Ticket,
    /// What the prompt was taken to mean.
    pub reading: Reading,
    /// Where it is.
    pub path: PathBuf,
    /// What was written.
    pub sheet: Sheet,
    /// Frames of the first sample, 32×32.
    pub first: Vec<Picture>,
    /// From start to file, in seconds.
    pub seconds: f64,
}

/// Draws and writes.
///
/// # Errors
/// One line with the cause and the mend; nothing is left behind.
pub fn draw(drawing: &Drawing, context: Context) -> Result<Drawn, Failure> {
    let begun = Instant::now();
    let mut ticket = drawing.ticket.clone();
    if ticket.prompt == output::STDOUT {
        ticket.prompt = reading::from_stdin()?;
    }
    reading::check(&ticket.prompt, !drawing.wordless)?;
    if let Some(problem) = ticket.problem() {
        return Err(Failure::input(problem));
    }
    if let Some(out) = &drawing.out {
        output::check(out, ticket.video)?;
    }
    take_part();
    let studio = open(drawing)?;
    let painter = match ticket.picture_first {
        true => Some(embedded::pictures(&device(&drawing.device)?)?),
        false => None,
    };
    let reader = painter.as_ref().unwrap_or(&studio);
    let reading = match &ticket.told {
        Some(told) => {
            reading::check(told, false)?;
            reading::by_tower(reader, told)
        }
        None => reading::read(reader, &ticket.prompt),
    };
    ticket.told = Some(reading.told.clone());
    if !reading.known && !ticket.prompt.trim().is_empty() {
        return Err(reading.refusal());
    }
    let warnings = reading.warnings(&ticket.prompt);
    warnings.iter().for_each(|line| tell(line));
    if painter.is_some() && !studio.tower.codes.contains(&reading.code) {
        tell(&format!(
            "warning: the clip model was not taught `{}`: it moves the picture by what it sees in it",
            reading.subject
        ));
    }
    let names = [
        painter.as_ref().map(|painter| name(painter, None)),
        Some(name(&studio, drawing.model.as_deref())),
    ];
    let names: Vec<String> = names.into_iter().flatten().collect();
    check_model(&mut ticket, &names.join(" "));

    let painter = painter.map(|studio| Painter {
        studio,
        code: reading.code.clone(),
    });
    let (sheet, first) = work(
        &studio,
        painter.as_ref(),
        &ticket,
        drawing.json || drawing.quiet,
        context,
    )?;
    let note = ticket.to_json();
    let path = match &drawing.out {
        Some(out) => {
            sheet.write(out, &note)?;
            out.clone()
        }
        None => sheet.write_new(&ticket.prompt, &reading.subject, ticket.video, &note)?,
    };
    Ok(Drawn {
        ticket,
        reading,
        path,
        sheet,
        first,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

fn open(drawing: &Drawing) -> Result<Studio, Failure> {
    let device = device(&drawing.device)?;
    let studio = match (&drawing.model, drawing.ticket.video) {
        (Some(path), _) => Studio::open(&Weights::open(path)?, &device)?,
        (None, true) => embedded::clips(&device)?,
        (None, false) => embedded::pictures(&device)?,
    };
    match studio.problem(drawing.ticket.video) {
        Some(problem) => Err(Failure::input(format!("`{}`: {problem}", studio.origin))),
        None => Ok(studio),
    }
}

/// How a picture names the weights that made it.
fn name(studio: &Studio, path: Option<&Path>) -> String {
    let name = match path {
        Some(path) => path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into(),
        None if studio.config.temporal_patch == 1 => embedded::PICTURES.to_owned(),
        None => embedded::CLIPS.to_owned(),
    };
    format!("{name} {}", studio.id).trim_end().to_owned()
}

/// Notes the weights in the ticket, and warns where it was made with others.
fn check_model(ticket: &mut Ticket, now: &str) {
    // Names may change, fingerprints may not.
    let ids = |name: &str| -> Vec<String> {
        let is_id = |word: &&str| word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit());
        name.split(' ').filter(is_id).map(str::to_owned).collect()
    };
    if !ticket.model.is_empty() && ids(&ticket.model) != ids(now) {
        tell(&format!(
            "warning: it was made with the weights `{}`, these are `{now}`: it will look different",
            base::command::one_line(&ticket.model)
        ));
    }
    now.clone_into(&mut ticket.model);
}

/// The sheet, and the frames of the first sample.
fn work(
    studio: &Studio,
    painter: Option<&Painter>,
    ticket: &Ticket,
    quiet: bool,
    context: Context,
) -> Result<(Sheet, Vec<Picture>), Failure> {
    let order = Order {
        prompt: ticket.told.clone().unwrap_or_default(),
        style: ticket.style(),
        count: ticket.count,
        seed: ticket.seed,
        sample: ticket.sampling(),
    };
    let mut bar = Steps::new("drawing", quiet);
    let mut each_step = |done, total| {
        bar.at(done, total);
        !context.stopped()
    };
    let captions: Vec<String> = (0..ticket.count as u64)
        .map(|i| format!("seed {}", ticket.seed.wrapping_add(i)))
        .collect();
    let captions: Vec<&str> = captions.iter().map(String::as_str).collect();
    let layout = Layout {
        columns: None,
        gap: GAP,
        scale: ticket.size,
    };
    let made = if ticket.video {
        let mut clips = match painter {
            Some(painter) => from_pictures(
                studio,
                &painter.studio,
                &painter.code,
                &order,
                &mut each_step,
            )?,
            None => studio.clips(&order, &ticket.known(), &mut each_step)?,
        };
        if let Some(delay_ms) = ticket.delay_ms {
            clips.iter_mut().for_each(|clip| clip.delay_ms = delay_ms);
        }
        clips
    } else {
        let pictures = studio.pictures(&order, &mut each_step)?;
        let still = |picture| Clip::new(vec![picture], 100);
        pictures.into_iter().map(still).collect::<Result<_, _>>()?
    };
    bar.finish();
    if context.stopped() || made.len() < ticket.count {
        return Err(Failure::interrupted("stopped: nothing was written"));
    }
    let first = made[0].frames.clone();
    let large = |picture: &Picture| picture.upscale_nearest(ticket.size);
    let sheet = match (ticket.video, made.len()) {
        (true, 1) => Sheet::Moving(made[0].map(large)),
        (true, _) => Sheet::Moving(clip_sheet(&made, &captions, &layout)?),
        (false, 1) => Sheet::Still(large(&first[0])),
        (false, _) => {
            let pictures: Vec<Picture> = made.iter().map(|clip| clip.frames[0].clone()).collect();
            Sheet::Still(sheet(&pictures, &captions, &layout)?)
        }
    };
    Ok((sheet, first))
}

/// Says what was drawn: one line for people, one object for machines.
///
/// # Errors
/// When standard output cannot be written.
pub fn report(drawn: &Drawn, drawing: &Drawing) -> Result<(), Failure> {
    let Drawn {
        ticket, reading, ..
    } = drawn;
    let style = reading
        .style
        .map_or(ticket.style.as_str(), |style| style.name());
    let (width, height, frames) = drawn.sheet.size();
    let line = if drawing.json {
        let unknown: Vec<&String> = reading.unknown.iter().map(|(word, _)| word).collect();
        json!({
            "out": drawn.path, "width": width, "height": height, "frames": frames,
            "prompt": ticket.prompt, "subject": reading.subject, "probability": reading.probability,
            "candidates": reading.candidates, "unknown": unknown, "left_out": reading.left_out, "style": style,
            "seed": ticket.seed, "count": ticket.count, "model": ticket.model,
            "steps": ticket.steps, "guidance": ticket.guidance,
            "style_guidance": ticket.guidance_style.unwrap_or(ticket.guidance), "guided_until": ticket.guided_until, "renorm": ticket.renorm,
            "seconds": (drawn.seconds * 1000.0).round() / 1000.0,
        })
        .to_string()
    } else {
        let subject = match reading.subject.as_str() {
            "" => String::new(),
            subject => format!("{subject} in "),
        };
        let times = match ticket.count {
            1 => String::new(),
            count => format!("{count} times "),
        };
        format!(
            "wrote {}: {times}{subject}{style}, {width}x{height}, seed {}, {:.1} s",
            drawn.path.display(),
            ticket.seed,
            drawn.seconds
        )
    };
    if drawing.quiet && !drawing.json {
        return Ok(());
    }
    if output::is_device(&drawn.path) && drawn.path != Path::new("/dev/null") {
        tell(&line);
        return Ok(());
    }
    say(&line)
}
