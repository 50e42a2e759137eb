//! What the program says of its build: the commit, the features beside the usual ones, and those that it lacks.

use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| {
        let ran = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(ran.stdout).ok()?;
        ran.status.success().then(|| text.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=ORRERY_COMMIT={commit}");
    // The log of HEAD grows with every commit and checkout.
    let watched = git(&[
        "rev-parse",
        "--path-format=absolute",
        "--git-path",
        "logs/HEAD",
    ]);
    if let Some(log) = watched.filter(|log| std::path::Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.toml");
    let manifest = std::fs::read_to_string("Cargo.toml").unwrap_or_default();
    let features = manifest
        .split_once("[features]")
        .map_or("", |(_, rest)| rest);
    let features = features.split("\n[").next().unwrap_or_default().lines();
    let on = |name: &str| {
        let variable = format!("CARGO_FEATURE_{}", name.to_uppercase().replace('-', "_"));
        std::env::var_os(variable).is_some()
    };
    let features = features.filter_map(|line| Some(line.split_once(" = [")?.0));
    let missing: Vec<&str> = features.filter(|name| !on(name)).collect();
    println!("cargo::rustc-env=ORRERY_MISSING={}", missing.join(" "));
    let features: Vec<&str> = ["cuda", "metal", "rocm", "wgpu"]
        .into_iter()
        .filter(|name| on(name))
        .collect();
    let features = match features.as_slice() {
        [] => "none".to_owned(),
        some => some.join(" "),
    };
    println!("cargo::rustc-env=ORRERY_FEATURES={features}");
}
