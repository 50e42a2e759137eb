//! The official way to draw a formula: XeLaTeX sets it in colours, a rasteriser makes pixels of the page.

mod document;
mod ink;
mod png;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base::files::{short_folder, sweep};
use thiserror::Error;

use self::png::Page;
use super::boxes::Drawing;
use super::colour::Coloured;

/// Time for each of the two programs, as in the official tool.
const TIME: Duration = Duration::from_secs(30);
/// How its folders are named.
const FOLDER: &str = "orrery-xelatex-";

/// Dots per inch.
const DENSITY: &str = "200";

/// The programs, where they were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xelatex {
    xelatex: PathBuf,
    raster: Raster,
}

/// What makes pixels of a page. ImageMagick, which the official tool names, calls Ghostscript too, and in the same way: colours
/// are kept apart from how far they cover a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Raster {
    Ghostscript(PathBuf),
    Poppler(PathBuf),
}

/// A program that is not installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MissingTool {
    /// XeLaTeX.
    #[error("`xelatex` is not on the PATH: install TeX Live's XeTeX, or use the built-in renderer")]
    Xelatex,
    /// What reads its pages.
    #[error(
        "neither `gs` (Ghostscript) nor `pdftoppm` (Poppler) is on the PATH: install one, or use the built-in renderer"
    )]
    Raster,
}

/// Why XeLaTeX drew nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum XelatexError {
    /// A file in the temporary folder, or a program, cannot be used.
    #[error("cannot run XeLaTeX: {0}")]
    System(String),
    /// A program took too long.
    #[error("`{0}` was not done after {seconds} s", seconds = TIME.as_secs())]
    Time(&'static str),
    /// There is no page.
    #[error("XeLaTeX made no page: {0}")]
    NoPage(String),
    /// No token left ink.
    #[error("nothing in it can be seen")]
    Blank,
}

impl Xelatex {
    /// Looks for the programs on the PATH.
    ///
    /// # Errors
    /// [`MissingTool`] names what is not there.
    pub fn find() -> Result<Self, MissingTool> {
        Self::find_in(&std::env::var_os("PATH").unwrap_or_default())
    }

    /// [`Self::find`] in the folders of `path`.
    ///
    /// # Errors
    /// [`MissingTool`].
    pub fn find_in(path: &std::ffi::OsStr) -> Result<Self, MissingTool> {
        let find = |name: &str| {
            let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
            let mut files = std::env::split_paths(path).map(|folder| folder.join(&name));
            files.find(|file| file.is_file())
        };
        sweep(FOLDER);
        let raster = find("gs").map(Raster::Ghostscript);
        let raster = raster.or_else(|| find("pdftoppm").map(Raster::Poppler));
        Ok(Self {
            xelatex: find("xelatex").ok_or(MissingTool::Xelatex)?,
            raster: raster.ok_or(MissingTool::Raster)?,
        })
    }

    /// Sets a formula and finds the ink of its tokens.
    ///
    /// The formula is anybody's: XeLaTeX runs in a folder of its own, without shell commands, and may neither read nor write
    /// outside of it beyond what its packages need.
    ///
    /// # Errors
    /// [`XelatexError`].
    pub fn draw(&self, formula: &Coloured) -> Result<Drawing, XelatexError> {
        let system = |error: std::io::Error| XelatexError::System(error.to_string());
        let folder = short_folder(FOLDER).map_err(system)?;
        let at = folder.path();
        std::fs::write(at.join("formula.tex"), document::document(formula)).map_err(system)?;
        let mut tex = self.command(&self.xelatex, at);
        tex.args([
            "-interaction=nonstopmode",
            "-no-shell-escape",
            "formula.tex",
        ]);
        within_time(&mut tex, "xelatex")?;
        if !at.join("formula.pdf").is_file() {
            let log = std::fs::read(at.join("formula.log")).unwrap_or_default();
            return Err(XelatexError::NoPage(complaint(&String::from_utf8_lossy(
                &log,
            ))));
        }
        let mut raster = match &self.raster {
            Raster::Ghostscript(gs) => {
                let mut command = self.command(gs, at);
                command.args([
                    "-q",
                    "-dSAFER",
                    "-dBATCH",
                    "-dNOPAUSE",
                    "-sDEVICE=pngalpha",
                    "-dLastPage=1",
                ]);
                command.args([
                    "-dTextAlphaBits=4",
                    "-dGraphicsAlphaBits=4",
                    "-sOutputFile=page.png",
                ]);
                command.arg(format!("-r{DENSITY}")).arg("formula.pdf");
                command
            }
            Raster::Poppler(pdftoppm) => {
                let mut command = self.command(pdftoppm, at);
                command.args(["-png", "-r", DENSITY, "-singlefile", "formula.pdf", "page"]);
                command
            }
        };
        within_time(&mut raster, "the rasteriser")?;
        let png = std::fs::read(at.join("page.png")).map_err(system)?;
        let none = || XelatexError::System("the rasteriser made no picture of the page".to_owned());
        let page = Page::read(&png).ok_or_else(none)?;
        ink::drawing(page.size, |x, y| page.pixel(x, y), &formula.visible)
            .ok_or(XelatexError::Blank)
    }

    /// A program that works in `folder`, silent, and confined to it where it listens to TeX's settings.
    fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder);
        command.env("openin_any", "p").env("openout_any", "p");
        command.env("TEXMFVAR", folder).env("TMPDIR", folder);
        let silent = [Stdio::null(), Stdio::null(), Stdio::null()];
        let [stdin, stdout, stderr] = silent;
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        command
    }
}

/// Waits for a program; one that takes too long is stopped. Its exit code says nothing: XeLaTeX fails on slips that it
/// sets a page in spite of.
fn within_time(command: &mut Command, name: &'static str) -> Result<(), XelatexError> {
    let system = |error: std::io::Error| XelatexError::System(format!("{name}: {error}"));
    let mut child = command.spawn().map_err(system)?;
    let begun = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if child.try_wait().map_err(system)?.is_some() {
            return Ok(());
        }
        if begun.elapsed() > TIME {
            // It may have ended by itself in between.
            let _ = child.kill();
            let _ = child.wait();
            return Err(XelatexError::Time(name));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// What a log complains of first.
fn complaint(log: &str) -> String {
    let first = log.lines().find_map(|line| line.strip_prefix("! "));
    let first = first.unwrap_or("its log names no error");
    first
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let nowhere = Xelatex::find_in(std::ffi::OsStr::new("")).map_err(|error| error.to_string());
        assert!(nowhere.is_err_and(|line| line.contains("install TeX Live")));
    }

    #[test]
    fn the_first_complaint_of_a_log_is_reported() {
        assert_eq!(
            complaint("This is XeTeX\n! Undefined control sequence.\n! Missing $"),
            "Undefined control sequence."
        );
        assert_eq!(complaint(""), "its log names no error");
    }
}
