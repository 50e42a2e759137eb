//! Where the tools of languages are on this machine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use super::python;

/// A tool of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its full path, behind links and version managers.
    pub path: String,
    /// The folder that must be shown for it to work, where it is not below `/usr`.
    pub folder: Option<String>,
    /// Where Python looks for modules.
    pub modules: Vec<String>,
}

impl Tool {
    /// Whether it succeeds with these arguments; always without any. It is tried once.
    pub(super) fn can(&self, arguments: &'static [&'static str]) -> bool {
        type Tried = HashMap<(String, &'static [&'static str]), bool>;
        static TRIED: OnceLock<Mutex<Tried>> = OnceLock::new();
        if arguments.is_empty() {
            return true;
        }
        let mut tried = TRIED
            .get_or_init(Mutex::default)
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let works = || {
            let mut command = Command::new(&self.path);
            command.args(arguments).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        *tried
            .entry((self.path.clone(), arguments))
            .or_insert_with(works)
    }

    /// The tool with a name, where this machine has it. It is looked for once.
    pub(super) fn named(name: &'static str) -> Option<Self> {
        static FOUND: OnceLock<Mutex<HashMap<&str, Option<Tool>>>> = OnceLock::new();
        let mut found = FOUND
            .get_or_init(Mutex::default)
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        found.entry(name).or_insert_with(|| locate(name)).clone()
    }
}

/// Looks for a tool, and behind what only leads to it.
fn locate(name: &str) -> Option<Tool> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from);
    let mut places = std::env::split_paths(&folders)
        .chain(usual)
        .map(|folder| folder.join(name));
    let found = places.find(|place| place.is_file())?;
    // Version managers put scripts and stand-ins in the path: ask which program they stand for.
    let output = match name {
        "python3" => ask(&found, &python::ABOUT),
        "rustc" => ask(&found, &["--print", "sysroot"]),
        "node" => ask(&found, &["-p", "process.execPath"]),
        "go" => ask(&found, &["env", "GOROOT"]),
        _ => Vec::new(),
    };
    let mut output = output.into_iter();
    let asked = output.next().map(|first| match name {
        "rustc" | "go" => Path::new(&first).join("bin").join(name),
        _ => PathBuf::from(first),
    });
    let path = std::fs::canonicalize(asked.unwrap_or(found)).ok()?;
    let below_usr = ["/usr", "/bin", "/lib", "/lib64"]
        .iter()
        .any(|root| path.starts_with(root));
    let folder = path.parent().and_then(Path::parent);
    Some(Tool {
        folder: folder
            .filter(|_| !below_usr)
            .map(|folder| folder.display().to_string()),
        path: path.display().to_string(),
        modules: output.collect(),
    })
}

/// The lines that a tool prints, without empty ones; none where it fails.
fn ask(tool: &Path, arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new(tool);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = command.output().ok();
    let output = output.filter(|output| output.status.success());
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
    let text = text.unwrap_or_default();
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}
