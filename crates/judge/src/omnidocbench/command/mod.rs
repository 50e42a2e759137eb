//! The verbs of `orrery omnidocbench`.

mod blocks;
mod boxes;
mod eval;
mod failures;
mod leaderboard;
mod merge;
mod options;
mod output;
mod pages;
mod pieces;
mod show;

base::verbs! {
    /// What `orrery omnidocbench` can do.
    pub enum Command {
        /// Score predicted pages end to end: text, formulas, tables, reading order
        Eval(eval::Eval),
        /// Score markdown against markdown
        Md2md(eval::Md2md),
        /// Put the shards of an evaluation together
        Merge(merge::Merge),
        /// Score recognised text, block by block
        Ocr(blocks::Ocr),
        /// Score recognised tables, block by block
        Table(blocks::Table),
        /// Score recognised formulas, block by block
        Formula(blocks::Formula),
        /// Score detected layout boxes (COCO average precision)
        Layout(boxes::Layout),
        /// The elements extracted from a predicted page
        Extract(pieces::Extract),
        /// Which element of a page was matched with which annotated block
        Match(pieces::Match),
        /// Visual similarity of two formulas (CDM)
        Cdm(pieces::Cdm),
        /// Several results in one table
        Leaderboard(leaderboard::Leaderboard),
        /// Annotated pages as markdown
        Gt2md(pieces::Gt2md),
        /// Matched pairs side by side on a web page, differences marked
        Show(show::Show),
    }
}
