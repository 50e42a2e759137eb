//! The verbs of `orrery harp`.

mod eval;
mod generate;
mod options;
mod sweep;

base::verbs! {
    /// What `orrery harp` can do.
    pub enum Command {
        /// Continue a text or answer a question; tokens are coloured by how unsure the model was
        Generate(generate::Generate),
        /// Compare the ordinary model, HARP, second looks everywhere and beam search on tasks
        Eval(eval::Eval),
        /// Accuracy and loss for every θ, δ and β at once, on given texts
        Sweep(sweep::Sweep),
    }
}
