//! `orrery hyperfl` as a user, and as a federation engine, runs it.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use base::fixtures::furthest;
use base::tensor_file::{Precision, TensorFile, Weights};

mod common;
use common::{command, folder};

/// Settings of a tiny federation.
const TINY: [&str; 16] = [
    "--clients",
    "2",
    "--train",
    "12",
    "--test",
    "10",
    "--batch",
    "6",
    "--local-epochs",
    "1",
    "--hidden",
    "4",
    "--embed",
    "4",
    "--rounds",
    "2",
];

/// Runs a verb on the tiny federation and gives exit code, standard output and standard error.
fn run(verb: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut all = vec!["hyperfl", verb];
    all.extend(TINY);
    all.extend(arguments);
    plain(&all)
}

/// Runs the program and gives exit code, standard output and standard error.
fn plain(arguments: &[&str]) -> (i32, String, String) {
    let output = command(&std::env::temp_dir(), arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

/// One client's work; what it uploads.
fn client(place: &Path, client: usize, round: usize, global: &str) -> String {
    let [number, round_text] = [client, round].map(|n| n.to_string());
    let out = path(place, &format!("update-{round}-{client}.safetensors"));
    let state = path(place, &format!("client-{client}"));
    let arguments = [
        "--client",
        &number,
        "--round",
        &round_text,
        "--state",
        &state,
        "--global",
        global,
        "--out",
        &out,
    ];
    let (code, _, error) = run("client", &arguments);
    assert_eq!(code, 0, "{error}");
    out
}

fn values(path: &str) -> Vec<f32> {
    let file = Weights::open(path).unwrap();
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    assert!(
        names.iter().all(|name| name.starts_with("hypernetwork.")),
        "{names:?}"
    );
    names
        .iter()
        .flat_map(|name| file.values(name).unwrap())
        .collect()
}

/// A copy of an upload with other values or notes.
fn forge(
    from: &str,
    to: &str,
    round: &str,
    client: &str,
    samples: &str,
    change: impl Fn(usize, f32) -> f32,
) {
    let file = Weights::open(from).unwrap();
    let mut forged = TensorFile::new();
    for (key, value) in [("round", round), ("client", client), ("samples", samples)] {
        forged.note(format!("hyperfl.{key}"), value);
    }
    for name in file.names() {
        let values = file.values(name).unwrap().into_iter().enumerate();
        let values: Vec<f32> = values.map(|(at, value)| change(at, value)).collect();
        forged
            .floats(name, file.shape(name).unwrap(), &values, Precision::F32)
            .unwrap();
    }
    forged.write(to).unwrap();
}

#[test]
fn files_between_clients_and_server_equal_the_simulation_and_bad_uploads_are_left_out() {
    let place = folder();
    let place = place.path();
    let simulated = path(place, "simulated");
    let (code, _, error) = run("simulate", &["--out", &simulated]);
    assert_eq!(code, 0, "{error}");

    let mut global = path(place, "global-0.safetensors");
    assert_eq!(run("aggregate", &["--start", "--out", &global]).0, 0);
    let mut earlier = String::new();
    for round in 1..=2 {
        let updates = [0, 1].map(|number| client(place, number, round, &global));
        // A client that is asked again does the same work again.
        let before = values(&updates[0]);
        assert_eq!(values(&client(place, 0, round, &global)), before);
        // Another client's private parts are not taken, and nothing that is read is written over.
        let (number, state) = (round.to_string(), path(place, "client-1"));
        let spare = path(place, "spare.safetensors");
        let foreign = [
            "--round", &number, "--state", &state, "--global", &global, "--out", &spare,
        ];
        let (code, _, error) = run("client", &[&["--client", "0"], &foreign[..]].concat());
        assert!(
            code == 2 && error.contains("belongs to client 1"),
            "{error}"
        );
        // Only the last round can be done again, and there are no more than were agreed.
        for (asked, wanted) in [("1", "is over"), ("1000", "there is no round 1000")] {
            let own = path(place, "client-0");
            let asked = [
                "--client", "0", "--round", asked, "--state", &own, "--global", &global, "--out",
                &spare,
            ];
            let (code, _, error) = run("client", &asked);
            assert!(
                (round == 1 && asked[3] == "1") || (code == 2 && error.contains(wanted)),
                "{error}"
            );
        }
        let over = [
            "--round",
            &number,
            "--global",
            &global,
            "--out",
            &global,
            &updates[0],
        ];
        let (code, _, error) = run("aggregate", &over);
        assert!(code == 2 && error.contains("would be lost"), "{error}");
        let bad =
            ["nan", "huge", "old", "short"].map(|name| path(place, &format!("{name}.safetensors")));
        let text = round.to_string();
        forge(&updates[0], &bad[0], &text, "7", "12", |at, v| {
            if at == 3 { f32::NAN } else { v }
        });
        forge(&updates[0], &bad[1], &text, "8", "12", |_, v| v * 1e9);
        forge(&updates[0], &bad[2], "9", "9", "12", |_, v| v + 0.001);
        std::fs::write(&bad[3], b"not a file").unwrap();
        let next = path(place, &format!("global-{round}.safetensors"));
        let mut arguments = vec!["--round", &text, "--global", &global, "--out", &next];
        // The order of arrival does not matter.
        arguments.extend([&*updates[1], &*updates[0]]);
        arguments.extend(bad.iter().map(String::as_str));
        if round == 2 {
            arguments.push(&earlier);
        }
        let (code, out, error) = run("aggregate", &arguments);
        assert_eq!(code, 0, "{error}");
        assert!(out.contains("2 of"), "{out}");
        for name in ["`7`", "`8`", "`9`", "short.safetensors"] {
            assert!(error.contains(name), "{error}");
        }
        earlier = path(place, "replay.safetensors");
        forge(&updates[0], &earlier, "2", "3", "12", |_, v| v);
        global = next;
    }
    let found = values(&global);
    let expected = values(&path(Path::new(&simulated), "shared.safetensors"));
    assert!(
        furthest(&found, &expected) <= 1e-6,
        "{}",
        furthest(&found, &expected)
    );

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let private: PathBuf = place.join("client-0/private.safetensors");
        let mode = std::fs::metadata(private).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    // What was trained is taken up again, exported, and fitted to a new client.
    let (code, out, error) = run("simulate", &["--out", &simulated, "--json"]);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("\"round\":2"), "{out}");
    // More rounds go on from there: the last of `--rounds` counts.
    let more = ["hyperfl", "simulate"]
        .into_iter()
        .chain(TINY[..14].iter().copied())
        .chain(["--rounds", "3", "--out", &simulated, "--json"]);
    let (code, out, error) = plain(&more.collect::<Vec<_>>());
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("\"round\":3"), "{out}");
    let (code, _, error) = run("simulate", &["--out", &simulated, "--seed", "1"]);
    assert_eq!(code, 2);
    assert!(error.contains("other settings"), "{error}");
    let model = path(place, "model.safetensors");
    let arguments = [
        "hyperfl", "export", "--from", &simulated, "--client", "1", "--out", &model,
    ];
    assert_eq!(plain(&arguments).0, 0);
    assert_eq!(
        Weights::open(&model).unwrap().shape("fc2.weight"),
        Some(&[10, 128][..])
    );
    let arguments = [
        "hyperfl", "export", "--from", &simulated, "--client", "5", "--out", &model,
    ];
    assert_eq!(plain(&arguments).0, 2);
    let arguments = [
        "hyperfl",
        "new-client",
        "--from",
        &simulated,
        "--client",
        "3",
        "--train",
        "12",
        "--test",
        "10",
        "--embedding-epochs",
        "1",
    ];
    assert_eq!(plain(&arguments).0, 0);
}

#[test]
fn one_step_uploads_are_refused_unless_forced() {
    let place = folder();
    let place = place.path();
    let global = path(place, "global.safetensors");
    assert_eq!(run("aggregate", &["--start", "--out", &global]).0, 0);
    let (state, out) = (path(place, "state"), path(place, "update.safetensors"));
    let common = [
        "hyperfl",
        "client",
        "--clients",
        "2",
        "--train",
        "12",
        "--test",
        "10",
        "--batch",
        "12",
        "--local-epochs",
        "1",
        "--hidden",
        "4",
        "--embed",
        "4",
        "--client",
        "0",
        "--round",
        "1",
        "--state",
        &state,
        "--global",
        &global,
        "--out",
        &out,
    ];
    let (code, _, line) = plain(&common);
    assert_eq!(code, 2);
    assert!(
        line.contains("--force-one-step") && line.trim().lines().count() == 1,
        "{line}"
    );
    let forced = [&common[..], &["--force-one-step"]].concat();
    assert_eq!(plain(&forced).0, 0);
}

#[test]
fn bad_input_is_one_line() {
    for arguments in [
        &["partition", "--data", "/nowhere"][..],
        &["simulate", "--clients", "0"],
        &["simulate", "--train", "100000"],
        &["attack", "--client", "99"],
        &["simulate", "--lr", "nan"],
        &["partition", "--dirichlet", "0"],
    ] {
        let all = [&["hyperfl"], arguments].concat();
        let (code, _, line) = plain(&all);
        assert_eq!(code, 2, "{arguments:?}: {line}");
        assert!(!line.contains("panicked"), "{line}");
    }
}
