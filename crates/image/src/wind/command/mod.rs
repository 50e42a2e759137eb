//! The verbs of `orrery wind`.

mod bench;
mod detect;
mod embed;
mod generate;
mod options;
mod pictures;

base::verbs! {
    /// What `orrery wind` can do.
    pub enum Command {
        /// Make a secret key: whoever has it makes and finds marks
        Keygen(embed::Keygen),
        /// Write marked initial latents, for any diffusion program
        Embed(embed::Embed),
        /// Draw a picture from marked latents and note it in a ledger
        Generate(generate::Generate),
        /// Tell whether a picture was made with a key, and which generation it was
        Detect(detect::Detect),
        /// Draw a part of a photograph anew, from marked latents
        Inpaint(generate::Inpaint),
        /// Damage a picture as it happens on the way: rotation, JPEG, crop, blur, noise, brightness
        Attack(pictures::Attacks),
        /// Check a ledger line by line
        Ledger(pictures::CheckLedger),
        /// The table of attacks: who recognises what, beside Tree-Ring
        Bench(bench::Bench),
    }
}
