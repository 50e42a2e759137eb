//! The verbs of `orrery hyperfl`.

mod aggregate;
mod attack;
mod client;
mod export;
mod new_client;
mod options;
mod partition;
mod report;
mod simulate;

base::verbs! {
    /// What `orrery hyperfl` can do.
    pub enum Command {
        /// Train all clients of a federation in this process; resumes by round
        Simulate(simulate::Simulate),
        /// Reconstruct a client's pictures from what it would send
        Attack(attack::AttackVerb),
        /// Attack every method at every threat level: a table and a sheet of pictures
        Report(report::ReportVerb),
        /// Show which labels each client has
        Partition(partition::Partition),
        /// Do one client's work in one round: what a federation engine calls
        Client(client::Client),
        /// Average what clients sent and refuse what cannot be right: what a federation engine calls
        Aggregate(aggregate::Aggregate),
        /// Fit a new client to a trained hypernetwork, which stays as it is
        NewClient(new_client::NewClient),
        /// Write a client's generated network as an ordinary model
        Export(export::Export),
    }
}
