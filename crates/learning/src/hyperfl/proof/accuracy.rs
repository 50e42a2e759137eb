//! Accuracy of the methods on the same clients.

use base::command::Failure;
use base::proof::{Bound, Claim, Experiment, ProofOptions, Report, Trial};

use crate::hyperfl::{Config, Dataset, Method, Simulation, Split, split};

/// Arms of the comparison.
const ARMS: [(Method, &str); 7] = [
    (
        Method::Hyperfl,
        "hypernetwork shared; embedding and head private; scaled start",
    ),
    (Method::Local, "nothing shared"),
    (Method::Fedavg, "whole network shared"),
    (Method::PfedhnPc, "hypernetwork on the server, private head"),
    (Method::DpFedavg, "whole network shared, DP-SGD, ε = 4"),
    (Method::Centaur, "extractor shared, DP-SGD, ε = 4"),
    (
        Method::Ppsgd,
        "extractor shared, DP-SGD with the head batch by batch, ε = 4",
    ),
];

/// Sizes of an experiment.
struct Sizes {
    train: usize,
    test: usize,
    batch: usize,
    rounds: usize,
}

const OURS: &str = "specification, section 6";
const PAPER: &str = "paper, table of accuracies";

/// Eight clients with 80 drawn digits each.
pub(super) fn digits(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let sizes = Sizes {
        train: 80,
        test: 60,
        batch: 20,
        rounds: if options.full { 25 } else { 10 },
    };
    let about = format!(
        "Eight clients, 80 training and 60 test pictures each, 20 % of them of all ten digits and the rest of three; batch 20, {} \
         rounds of 5 epochs, hypernetwork of width 32. Accuracy is the mean over the clients, each on its own test pictures.",
        sizes.rounds
    );
    let data = Dataset::open("digits")?;
    let found = compare(
        ("digits", "Drawn digits", &about),
        &ARMS,
        (&data, &sizes),
        options,
    )?;
    let after = &found.measures[1];
    if let [Some(own), Some(local), Some(fedavg), Some(dp)] =
        ["hyperfl", "local", "fedavg", "dp-fedavg"].map(|arm| after.of(arm))
    {
        let points = |statement: &str, source: &str, bound, other| {
            Claim::tested(statement, source, bound, (after, &own.minus(other)))
        };
        report.claims.extend([
            points(
                "HyperFL is not worse than training alone by more than a point",
                OURS,
                Bound::AtLeast(-0.01),
                local,
            ),
            points(
                "DP-FedAvg (ε 4) is at least 15 points below HyperFL",
                OURS,
                Bound::AtLeast(0.15),
                dp,
            ),
            points(
                "HyperFL is better than FedAvg",
                PAPER,
                Bound::Above(0.0),
                fedavg,
            ),
        ]);
    }
    report.experiments.push(found);
    Ok(())
}

/// Eight clients with 30 pictures each: what an aggregation costs.
pub(super) fn few(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let sizes = Sizes {
        train: 30,
        test: 60,
        batch: 10,
        rounds: 14,
    };
    let about = "Eight clients with 30 training pictures each, batch 10, 14 rounds of 5 epochs. `before` is the accuracy \
                 with what the server sent, before a client trains.";
    let data = Dataset::open("digits")?;
    let found = compare(
        ("few", "Few pictures", about),
        &ARMS[..3],
        (&data, &sizes),
        options,
    )?;
    let before = &found.measures[0];
    if let [Some(own), Some(fedavg)] = ["hyperfl", "fedavg"].map(|arm| before.of(arm)) {
        report.claims.push(Claim::tested(
            "Right after aggregation HyperFL is at least 5 points better than FedAvg",
            OURS,
            Bound::AtLeast(0.05),
            (before, &own.minus(fedavg)),
        ));
    }
    report.experiments.push(found);
    Ok(())
}

/// The same on Fashion-MNIST, where it is installed.
pub(super) fn fashion(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let statement = [
        "HyperFL is better than FedAvg on Fashion-MNIST",
        "after above 0",
    ];
    let Ok(data) = Dataset::open("fashion") else {
        let why = "Fashion-MNIST is not installed: `apt-get install dataset-fashion-mnist`";
        report.claims.push(Claim::not_run(statement, PAPER, why));
        return Ok(());
    };
    let sizes = match options.full {
        true => Sizes {
            train: 600,
            test: 300,
            batch: 50,
            rounds: 50,
        },
        false => Sizes {
            train: 100,
            test: 100,
            batch: 25,
            rounds: 8,
        },
    };
    let about = format!(
        "Eight clients with {} training and {} test pictures of Fashion-MNIST, batch {}, {} rounds of 5 epochs, else as for the \
         drawn digits. The paper has 20 clients, 600 pictures and 200 rounds.",
        sizes.train, sizes.test, sizes.batch, sizes.rounds
    );
    let arms = [ARMS[0], ARMS[1], ARMS[2], ARMS[4]];
    let found = compare(
        ("fashion", "Fashion-MNIST", &about),
        &arms,
        (&data, &sizes),
        options,
    )?;
    let after = &found.measures[1];
    if let [Some(own), Some(fedavg)] = ["hyperfl", "fedavg"].map(|arm| after.of(arm)) {
        let bound = Bound::Above(0.0);
        report.claims.push(Claim::tested(
            statement[0],
            PAPER,
            bound,
            (after, &own.minus(fedavg)),
        ));
    }
    report.experiments.push(found);
    Ok(())
}

fn compare(
    (name, title, about): (&str, &str, &str),
    arms: &[(Method, &str)],
    (data, sizes): (&Dataset, &Sizes),
    options: &ProofOptions,
) -> Result<Experiment, Failure> {
    let mut trial = Trial::new(name, title, about, options)
        .share("before", "accuracy with what the server sent, last round")
        .share("after", "accuracy after local training, last round")
        .lower("seconds", "a round, all clients");
    for (method, about) in arms {
        trial = trial.arm(method.name(), about);
    }
    trial.run(options, |arm, seed| {
        let method = arms.iter().find(|(method, _)| method.name() == arm);
        let config = Config {
            method: method.map_or(Method::Hyperfl, |(method, _)| *method),
            clients: 8,
            rounds: sizes.rounds,
            batch: sizes.batch,
            hidden: 32,
            seed,
            ..Config::default()
        };
        let clients = Split {
            train: sizes.train,
            test: sizes.test,
            even: 20,
        };
        let parts = split(data, config.clients, &clients)?;
        let mut simulation = Simulation::new(config, data, parts)?;
        for _ in 0..sizes.rounds {
            simulation.round(data, options.context)?;
        }
        let seconds = simulation.log.iter().map(|row| row.seconds).sum::<f64>();
        let last = simulation.log.last();
        let [before, after] = last.map_or([0.0; 2], |row| [row.before, row.after]);
        Ok(vec![before, after, seconds / sizes.rounds as f64])
    })
}
