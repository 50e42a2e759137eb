//! What clap has to say, on one line.

use base::command::{Failure, print_line};
use clap::error::ErrorKind;

/// Help and version as they are; a mistake as one line that names the fix.
pub fn explain(error: &clap::Error) -> Result<(), Failure> {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => print_line(text.trim_end()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            print_line(text.trim_end())?;
            Err(Failure::input(
                "a subcommand is required: one of the commands above",
            ))
        }
        _ => Err(Failure::input(one_line(&text))),
    }
}

/// The cause and the tip of clap's paragraphs, without its usage.
fn one_line(text: &str) -> String {
    let before = text.split("\nUsage:").next().unwrap_or(text);
    let lines = before.lines().map(str::trim);
    let mut line = String::new();
    for part in lines.filter(|part| !part.is_empty() && !part.starts_with("For more information")) {
        let tip = part.strip_prefix("tip: ");
        if !line.is_empty() {
            line.push_str(if tip.is_some() { "; " } else { " " });
        }
        line.push_str(tip.unwrap_or(part));
    }
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    match text.contains("For more information") {
        true => format!("{line}; see `--help`"),
        false => line.to_owned(),
    }
}
