//! The verbs of `orrery wind`.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

mod bench;
mod detect;
mod embed;
mod generate;
mod options;
mod pictures;

/// What `orrery wind` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a secret key: whoever has it makes and finds marks
    Keygen(embed::Keygen),
    /// Write marked initial latents, for any diffusion program
    Embed(embed::Embed),
    /// Draw a picture from marked latents and note it in a ledger
    Generate(generate::Generate),
    /// Tell whether a picture was made with a key, and which generation it was
    Detect(Box<detect::Detect>),
    /// Draw a part of a photograph anew, from marked latents
    Inpaint(generate::Inpaint),
    /// Damage a picture as it happens on the way: rotation, JPEG, crop, blur, noise, brightness
    Attack(pictures::Attacks),
    /// Check a ledger line by line
    Ledger(pictures::CheckLedger),
    /// The table of attacks: who recognises what, beside Tree-Ring
    Bench(bench::Bench),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Keygen(verb) => verb.run(),
            Self::Embed(verb) => verb.run(),
            Self::Generate(verb) => verb.run(context),
            Self::Detect(verb) => verb.run(context),
            Self::Inpaint(verb) => verb.run(context),
            Self::Attack(verb) => verb.run(),
            Self::Ledger(verb) => verb.run(),
            Self::Bench(verb) => verb.run(context),
        }
    }
}
