//! Federated rounds, an attack and X-MAGICAL's physics, timed beside PyTorch and the `x-magical` package:
//! `orrery bench --suite learning`.

use std::hint::black_box;
use std::sync::atomic::AtomicBool;

use base::command::Context;
use base::rng::Rng;
use engine::bench::{Benchmark, Run};

use crate::hyperfl::attack::{Cost, Guess, InvertConfig, SingleGradient, invert};
use crate::hyperfl::{Config, Method, Model, Network, Simulation, Targets, digits};
use crate::rapl::world::{ACTION_LIMITS, Embodiment, Layout, Task, Variant, World};

/// What the other side runs for the same benchmarks.
pub const SCRIPT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../benches/learning_peer.py"
));

const CLIENTS: usize = 20;
/// Pictures of a client: a sixth of the paper's, so that a round takes seconds; the time grows with the batches alone.
const PICTURES: usize = 100;
/// Iterations of the attack.
const ITERATIONS: usize = 1000;

/// All benchmarks of the suite, with the ratios that they must not exceed.
pub fn benchmarks() -> Vec<Benchmark> {
    vec![
        Benchmark::with_peer(
            "hyperfl-round",
            "a round of HyperFL: 20 clients of 100 pictures of 28², 5 epochs, batch 50, width 128",
            || round(Method::Hyperfl),
        )
        .at_most(1.0),
        Benchmark::with_peer(
            "fedavg-round",
            "the same of FedAvg, the plain network of 117,066 parameters",
            || round(Method::Fedavg),
        )
        .at_most(1.0),
        Benchmark::with_peer(
            "ig-1000",
            "inverting one gradient of that network: 1,000 iterations of signed Adam",
            attack,
        )
        .at_most(1.0),
        Benchmark::with_peer(
            "xmagical-episode",
            "an episode of SweepToTop, Longstick: 50 frames of physics and states, nothing drawn",
            episode,
        )
        .at_most(0.2),
    ]
}

fn round(method: Method) -> Run {
    static STOP: AtomicBool = AtomicBool::new(false);
    let config = Config {
        method,
        clients: CLIENTS,
        ..Config::default()
    };
    let data = digits(CLIENTS * PICTURES, 10, 0);
    let own = |client: usize| (client * PICTURES..(client + 1) * PICTURES).collect();
    let parts = (0..CLIENTS).map(|client| [own(client), Vec::new()]);
    let mut simulation = Simulation::new(config, &data, parts.collect()).ok();
    Box::new(move || {
        if let Some(simulation) = &mut simulation {
            let log = simulation.round(&data, Context { stop: &STOP });
            black_box(log.is_ok());
        }
    })
}

fn attack() -> Run {
    let net = Network::fmnist(10);
    let mut rng = Rng::new(1);
    let params = net.init(&mut rng);
    let truth: Vec<f32> = (0..net.image()).map(|_| rng.uniform()).collect();
    let targets = Targets::Labels(vec![3]);
    let gradient = net
        .gradient(&params, &truth, &targets)
        .map(|gradient| gradient.params);
    let gradient = gradient.unwrap_or_default();
    let start = Guess {
        pictures: rng.normals(net.image()),
        targets,
        params: params.clone(),
    };
    let config = InvertConfig {
        iterations: ITERATIONS,
        ..InvertConfig::new(net.input)
    };
    Box::new(move || {
        let seen = SingleGradient {
            model: &net,
            observed: 0..params.len(),
            tensors: Vec::new(),
            gradient: &gradient,
            cost: Cost::Sim,
        };
        let found = invert(&seen, start.clone(), &config, &mut |_, _| Ok(()));
        black_box(found.is_ok());
    })
}

fn episode() -> Run {
    let layout = Layout {
        task: Task::Sweep,
        embodiment: Embodiment::Longstick,
        variant: Variant::Demo,
    };
    Box::new(move || {
        let mut world = World::new(layout, &mut Rng::new(0));
        let mut state = Vec::new();
        for at in 0.. {
            let turn = if at % 10 < 5 { 0.2 } else { -0.2 };
            let step = world.step(&[ACTION_LIMITS[0], turn]);
            world.state(&mut state);
            if step.done {
                break;
            }
        }
        black_box(&state);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_has_every_work() {
        for benchmark in benchmarks() {
            assert!(
                SCRIPT.contains(&format!("\"{}\"", benchmark.name)),
                "{}",
                benchmark.name
            );
        }
    }
}
