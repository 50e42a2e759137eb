//! The part `embedded`: the same arms on the Stable-Diffusion-shaped model inside the program.

use base::command::Failure;
use base::media::Image;
use base::media::sheet::{Layout, sheet};
use base::proof::{Claim, Figure as Picture, ProofOptions, Report, Trial};
use base::rng::Rng;
use burn::tensor::Tensor;
use engine::models::stable_diffusion::Request;
use engine::models::unet2d::ProjectionHooks;

use super::emoji_world::{ADAPTER, DRAWN, Embedded, PICTURES, SUBJECTS, joint_prompt};
use super::renderings::{STYLES, rendered};
use super::tables::{ARMS, DIRECT, HALF, NONE, RAR, Rooms, ZIP, claims, measures};
use super::worlds::World;
use crate::base_model::BaseModel;
use crate::lora_rar::distill::Update;

/// Weight of the similarity term: with 56 layers it stays below a tenth of the distances.
const LAMBDA: f64 = 1e-4;
const STATEMENT: [&str; 2] = [
    "Distances and times on the embedded model",
    "a table with all arms",
];

/// Adds the table, its claims and pictures; not run where there is no embedded model.
pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    if BaseModel::embedded().is_none() {
        let why = "this program was built without its embedded model";
        report
            .claims
            .push(Claim::not_run(STATEMENT, "our table", why));
        return Ok(());
    }
    let (rank, steps, batch, rate) = ADAPTER;
    let (rar_steps, rar_rate) = Embedded::SIZES.hypernet;
    let about = format!(
        "The model of `orrery sd` that draws emoji at 64 × 64. {} figures drawn in code, which it does not know, {PICTURES} pictures each (`sks figure`), and {} renderings of {} emoji that it draws itself (`red apple in duotone style`); an adapter of rank {rank} for each ({steps} steps of {batch} pictures at {rate}). The hypernetwork is trained on {} figures with {} styles ({rar_steps} steps at {rar_rate}); tested are the {} other figures in the other style, another one with each seed, every arm on the same inputs. ZipLoRA has {} steps a pair; λ is {LAMBDA} for both. Errors are of the velocity in latents. Nothing was chosen on the held-out pairs; the constant weights are the best of a grid on training pairs.",
        SUBJECTS[0],
        STYLES.len(),
        DRAWN.len(),
        SUBJECTS[1],
        STYLES.len() - 1,
        SUBJECTS[0] - SUBJECTS[1],
        Embedded::SIZES.ziplora.0,
    );
    let mut rooms = Rooms::<Embedded>::new(options, &[LAMBDA]);
    let mut trial = Trial::new(
        "embedded",
        "Pairs that were held out, on the embedded model",
        &about,
        options,
    );
    for (name, about) in ARMS {
        trial = trial.arm(name, about);
    }
    let experiment = rooms.run(measures(trial))?;
    report
        .claims
        .extend(claims(&experiment, ", on the embedded model"));
    report.experiments.push(experiment);
    report.figures.push(pictures(&mut rooms, options.seeds[0])?);
    rooms.clear();
    Ok(())
}

/// What each way of merging draws for the held-out pairs of one seed.
fn pictures(rooms: &mut Rooms<Embedded>, seed: u64) -> Result<Picture, Failure> {
    const COLUMNS: [&str; 4] = [DIRECT, HALF, ZIP, RAR];
    let mut arms = Vec::new();
    for name in COLUMNS {
        arms.push(rooms.arm(name, seed)?.1);
    }
    let (world, _) = rooms.arm(NONE, seed)?;
    let [_, held_out] = world.pairs();
    let mut cells = Vec::new();
    for (at, pair) in held_out.into_iter().enumerate() {
        let mut rng = Rng::new(seed).child("pictures").item(at as u64);
        let plain = world.figures[pair.subject].draw(&mut rng);
        cells.push(rendered(pair.style, &plain));
        cells.insert(cells.len() - 1, plain);
        let mut draw = |updates: &[Update], prompt: &str| -> Result<(), Failure> {
            let change = |module: &str, x: Tensor<3>| {
                let update = updates.get(world.base.place(module)?)?;
                Some(update.apply(Tensor::from_inner(x)).inner())
            };
            let request = Request {
                prompt: prompt.to_owned(),
                seeds: vec![at as u64],
                ..world.model.request()
            };
            let mut hooks = ProjectionHooks(change);
            cells.extend(world.model.draw(&request, &mut hooks, &mut |_, _| true)?);
            Ok(())
        };
        let content: Vec<Update> = pair
            .layers
            .iter()
            .map(|it| Update::Single(&it.content))
            .collect();
        let style: Vec<Update> = pair
            .layers
            .iter()
            .map(|it| Update::Single(&it.style))
            .collect();
        draw(&content, "sks figure")?;
        draw(
            &style,
            &format!("red apple in {} style", STYLES[pair.style]),
        )?;
        for arm in &arms {
            let merged = arm.merge(world, pair, seed)?;
            draw(&merged.updates(pair), &joint_prompt(pair.style))?;
        }
    }
    let cells: Vec<Image> = cells.iter().map(|cell| cell.upscale_nearest(2)).collect();
    let layout = Layout {
        columns: Some(8),
        ..Layout::default()
    };
    let caption = "Held-out pairs of the first seed on the embedded model, one a row: the figure, and in the style, as they should look; then drawn with the figure's adapter alone, the style's alone (an apple), and the figure in the style by the plain sum, half of each, ZipLoRA and LoRA.rar.";
    let picture = sheet(&cells, &[], &layout)?;
    Ok(Picture::still("embedded.png", caption, &picture)?)
}
