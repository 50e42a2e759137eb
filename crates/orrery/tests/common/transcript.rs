//! What a user sees, command after command, compared with a committed text.

use std::path::{Path, PathBuf};

use super::{Ran, orrery};

/// Set to write the committed texts anew; look at what `git diff` then shows.
const RENEW: &str = "ORRERY_RENEW_TRANSCRIPTS";

/// Commands in a folder, with what they printed.
pub struct Transcript<'a> {
    folder: &'a Path,
    text: String,
}

impl<'a> Transcript<'a> {
    pub fn new(folder: &'a Path) -> Self {
        let text = String::new();
        Self { folder, text }
    }

    /// Runs `orrery ARGS`.
    pub fn run(&mut self, args: &[&str]) -> Ran {
        let ran = orrery(self.folder, args);
        let shown: Vec<String> = args.iter().map(|arg| shown(arg)).collect();
        let code = match ran.code {
            Some(0) => String::new(),
            code => format!("exit code {}\n", code.unwrap_or(-1)),
        };
        let printed = format!("{}{}", ran.out, ran.err);
        let printed: String = printed.lines().map(|line| timeless(line) + "\n").collect();
        self.text += &format!("$ orrery {}\n{printed}{code}\n", shown.join(" "));
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        ran
    }

    /// Runs a line without quotes.
    pub fn line(&mut self, line: &str) -> Ran {
        self.run(&line.split(' ').collect::<Vec<_>>())
    }

    /// Compares with `tests/transcripts/NAME.txt`.
    pub fn compare(self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/transcripts")
            .join(format!("{name}.txt"));
        if std::env::var_os(RENEW).is_some() {
            std::fs::write(&path, &self.text).unwrap();
        }
        let kept = std::fs::read_to_string(PathBuf::from(&path)).unwrap_or_default();
        for (at, (now, before)) in self.text.lines().zip(kept.lines()).enumerate() {
            let line = at + 1;
            assert_eq!(
                now,
                before,
                "{} line {line}; {RENEW}=1 renews it",
                path.display()
            );
        }
        let (now, before) = (self.text.lines().count(), kept.lines().count());
        assert_eq!(now, before, "lines of {}", path.display());
    }
}

/// An argument as a shell would take it, without most of a long one.
fn shown(arg: &str) -> String {
    let short: String = arg.chars().take(60).collect();
    let plain = |c: char| c.is_alphanumeric() || "-_./:=+,".contains(c);
    match (
        short.len() < arg.len(),
        !arg.is_empty() && arg.chars().all(plain),
    ) {
        (true, _) => format!("{}…", short.chars().take(20).collect::<String>()),
        (false, true) => arg.to_owned(),
        (false, false) => format!("{arg:?}"),
    }
}

/// A line without the seconds at its end, which differ from run to run.
fn timeless(line: &str) -> String {
    match line.rsplit_once(", ") {
        Some((rest, last))
            if last
                .strip_suffix(" s")
                .is_some_and(|it| it.parse::<f64>().is_ok()) =>
        {
            format!("{rest}, … s")
        }
        _ => line.to_owned(),
    }
}
