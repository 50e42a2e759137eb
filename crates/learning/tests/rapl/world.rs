//! X-MAGICAL: states after scripted actions, pictures.

use base::media::read_image;
use learning::rapl::world::{Embodiment, Layout, PICTURE, View, World};

use super::*;

fn world(embodiment: &Value) -> World {
    let layout = Layout {
        task: Default::default(),
        embodiment: Embodiment::from_str(embodiment.as_str().unwrap(), true).unwrap(),
        variant: Default::default(),
    };
    World::new(layout, &mut Rng::new(0))
}

#[test]
fn physics() {
    for case in all("xmagical_physics") {
        // Before contact, then places of robot and blocks, then the dense reward of another engine.
        let off = tolerances(&case);
        let [early, robot_off, block_off] = [off[1], off[2], off[3]];
        let steps_before = off[0] as usize;
        for one in list(&case, "cases") {
            let mut world = world(&one["embodiment"]);
            let states: Vec<Vec<f64>> = one["states"]
                .as_array()
                .unwrap()
                .iter()
                .map(numbers)
                .collect();
            let [sparse, dense] = ["sparse_reward", "dense_reward"].map(|key| numbers(&one[key]));
            let mut state = Vec::new();
            let mut worst = [0.0f64; 3];
            let mut check = |world: &World, at: usize, worst: &mut [f64; 3]| {
                world.state(&mut state);
                assert_eq!(state.len(), states[at].len());
                for (k, (&found, &expected)) in state.iter().zip(&states[at]).enumerate() {
                    let away = (f64::from(found) - expected).abs();
                    let (limit, which) = match k {
                        _ if at <= steps_before => (early, 0),
                        0 | 1 => (robot_off, 1),
                        2..8 => (block_off, 2),
                        _ => continue,
                    };
                    worst[which] = worst[which].max(away);
                    assert!(
                        away <= limit,
                        "{} step {at} state {k}: {found}, not {expected}",
                        one["embodiment"]
                    );
                }
            };
            check(&world, 0, &mut worst);
            let actions = one["actions"].as_array().unwrap();
            for (at, action) in actions.iter().enumerate() {
                let step = world.step(&numbers(action));
                check(&world, at + 1, &mut worst);
                assert!(
                    (step.dense - dense[at]).abs() <= 0.1,
                    "dense reward of step {at}"
                );
                assert_eq!(step.done, at + 1 == one["steps"].as_u64().unwrap() as usize);
                // At the very edge of the strip a block may count a frame earlier or later.
                let near = sparse[at.saturating_sub(1)..(at + 2).min(sparse.len())].iter();
                let near = near
                    .map(|share| (share - step.sparse).abs())
                    .fold(1.0, f64::min);
                assert!(
                    near < 1e-9,
                    "{} sparse reward of step {at}: {}",
                    one["embodiment"],
                    step.sparse
                );
            }
            assert!((world.score() - one["eval_score"].as_f64().unwrap()).abs() < 1e-9);
            println!(
                "{}: off by at most {worst:?} (early, robot, blocks)",
                one["embodiment"]
            );
        }
    }
}

#[test]
fn pictures() {
    let folder = std::env::var_os("ORRERY_FIXTURES").map(std::path::PathBuf::from);
    for case in all("xmagical_render") {
        let off = tolerances(&case);
        let share = case
            .str("tolerance")
            .split(['%', ' '])
            .filter_map(|word| word.parse::<f64>().ok())
            .nth(1);
        let (mean_off, share, levels) = (off[0], share.unwrap() / 100.0, off[off.len() - 1]);
        for one in list(&case, "cases") {
            let mut world = world(&one["embodiment"]);
            let action = numbers(&one["action_repeated_12_times"]);
            for _ in 0..12 {
                world.step(&action);
            }
            let view = View::from_str(one["view"].as_str().unwrap(), true).unwrap();
            let found = world.image(view, PICTURE);
            let shape = numbers(&one["shape"]);
            assert_eq!(
                [f64::from(found.height), f64::from(found.width), 3.0],
                shape[..]
            );
            let pixels = f64::from(found.width * found.height);
            let mean: Vec<f64> = (0..3)
                .map(|k| {
                    found
                        .pixels
                        .iter()
                        .skip(k)
                        .step_by(3)
                        .map(|&x| f64::from(x))
                        .sum::<f64>()
                        / pixels
                })
                .collect();
            close(
                "mean colour",
                &mean,
                &numbers(&one["mean_rgb"]),
                [0.0, mean_off],
            );
            let name = one["file"].as_str().unwrap();
            let places = [
                folder.clone().map(|at| {
                    if at.is_absolute() {
                        at
                    } else {
                        std::path::Path::new("../..").join(at)
                    }
                }),
                Some("../../../shared/fixtures".into()),
                Some("tests/fixtures".into()),
            ];
            let path = places
                .into_iter()
                .flatten()
                .map(|at| at.join("rapl").join(name))
                .find(|at| at.exists());
            let expected = read_image(path.unwrap()).unwrap();
            let same = found.pixels.chunks(3).zip(expected.pixels.chunks(3));
            let same = same.filter(|(a, b)| {
                a.iter()
                    .zip(*b)
                    .all(|(a, b)| f64::from(a.abs_diff(*b)) <= levels)
            });
            let found = same.count() as f64 / pixels;
            println!(
                "{name}: {:.3} % of the pixels within {levels} levels",
                100.0 * found
            );
            assert!(found >= share, "{name}: {found}");
        }
    }
}
