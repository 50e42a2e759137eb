//! The verbs of `orrery hyperfl`.

use base::command::{Context, Failure};
use base::system::Verbs;
use clap::Subcommand;

mod aggregate;
mod attack;
mod client;
mod export;
mod new_client;
mod options;
mod partition;
mod report;
mod simulate;

/// What `orrery hyperfl` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Train all clients of a federation in this process; resumes by round
    Simulate(Box<simulate::Simulate>),
    /// Reconstruct a client's pictures from what it would send
    Attack(Box<attack::AttackVerb>),
    /// Attack every method at every threat level: a table and a sheet of pictures
    Report(Box<report::ReportVerb>),
    /// Show which labels each client has
    Partition(Box<partition::Partition>),
    /// Do one client's work in one round: what a federation engine calls
    Client(Box<client::Client>),
    /// Average what clients sent and refuse what cannot be right: what a federation engine calls
    Aggregate(Box<aggregate::Aggregate>),
    /// Fit a new client to a trained hypernetwork, which stays as it is
    NewClient(Box<new_client::NewClient>),
    /// Write a client's generated network as an ordinary model
    Export(Box<export::Export>),
}

impl Verbs for Command {
    fn run(&self, context: Context) -> Result<(), Failure> {
        match self {
            Self::Simulate(verb) => verb.run(context),
            Self::Attack(verb) => verb.run(context),
            Self::Report(verb) => verb.run(context),
            Self::Partition(verb) => verb.run(),
            Self::Client(verb) => verb.run(),
            Self::Aggregate(verb) => verb.run(),
            Self::NewClient(verb) => verb.run(context),
            Self::Export(verb) => verb.run(),
        }
    }
}
