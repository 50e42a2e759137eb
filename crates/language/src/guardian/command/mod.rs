//! The verbs of `orrery guardian`.

mod check;
mod eval;
mod options;
mod screen;
mod synth;
mod train;

base::verbs! {
    /// What `orrery guardian` can do.
    pub enum Command {
        /// Assess a prompt, an answer or a tool call
        Check(check::Check),
        /// Assess a question, its context and its answer: all three retrieval risks
        Rag(check::Rag),
        /// Check tool calls against their definitions by rules: no model
        Tools(check::Tools),
        /// Assess a file of JSON lines, one message list and risk a line
        Screen(screen::Screen),
        /// Detection metrics of labelled JSON lines, with bootstrap intervals
        Eval(eval::Eval),
        /// Thresholds that keep false positives under a rate
        Calibrate(eval::Calibrate),
        /// Train a small guard on labelled JSON lines
        Train(train::Train),
        /// Make labelled JSON lines: tool calls, retrieval, prompts, public sets
        Synth(synth::Synth),
    }
}
