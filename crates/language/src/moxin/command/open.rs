//! `orrery moxin openness`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, print_json, print_line};
use clap::Args;

use crate::moxin::openness;

#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery moxin openness my-release/

Files are taken by their names; what they hold is not judged, but for the licence. The list is from memory of the framework.")]
pub struct Open {
    /// The folder of a release
    folder: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl Open {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let found = openness(&self.folder)?;
        if self.output.json {
            return print_json(&found);
        }
        for (class, title) in [
            (3, "Class III: open model"),
            (2, "Class II: open tooling"),
            (1, "Class I: open science"),
        ] {
            let of: Vec<_> = found
                .components
                .iter()
                .filter(|it| it.class == class)
                .collect();
            let there = of.iter().filter(|it| it.file.is_some()).count();
            print_line(&format!("{title} ({there} of {})", of.len()))?;
            for it in of {
                let (sign, file) = match &it.file {
                    Some(file) => ("✓", file.clone()),
                    None => ("·", "—".to_owned()),
                };
                print_line(&format!("  {sign} {:<46} {file}", it.name))?;
            }
        }
        match &found.licence {
            Some((file, name)) => print_line(&format!("Licence: {name} ({file})"))?,
            None => print_line("Licence: none found; without one nothing is open")?,
        }
        let verdict = match found.class {
            Some(1) => "All components of class I, open science, are there",
            Some(2) => "All components of class II, open tooling, are there",
            Some(_) => "All components of class III, open model, are there",
            None => "Not all components of class III, open model, are there",
        };
        print_line(verdict)
    }
}
