//! What a run sees of the file system: a new root on a memory disk.

use std::collections::BTreeSet;
use std::ffi::{CString, NulError};
use std::path::Path;

/// One step of furnishing the new root. Paths are those of the old root.
#[derive(Debug)]
pub(super) enum Furnish {
    /// An empty folder, there already or not.
    Folder(CString),
    /// An empty file, to mount something on.
    File(CString),
    /// A link.
    Link { to: CString, at: CString },
    /// Something of the old root, read-only.
    Show { source: CString, at: CString },
    /// A memory disk.
    Memory { at: CString, options: CString },
    /// The processes of this namespace; done without where the kernel refuses.
    Processes(CString),
}

/// Parts of `/etc` that interpreters need; none holds a secret.
const CONFIGURATION: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/php",
];
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];
/// Bytes and files of the working folder.
const WORK: &str = "size=67108864,nr_inodes=4096,mode=0777";

/// The steps for a root at `stage` that shows `folders` beside the system's programs.
pub(super) fn steps(stage: &str, folders: &[String]) -> Result<Vec<Furnish>, NulError> {
    let mut steps = vec![Furnish::Memory {
        at: CString::new(stage)?,
        options: CString::new("size=1048576,nr_inodes=4096,mode=0755")?,
    }];
    let mut made = BTreeSet::new();
    let mut show = |path: &str, steps: &mut Vec<Furnish>| -> Result<(), NulError> {
        let Ok(about) = std::fs::symlink_metadata(path) else {
            return Ok(());
        };
        parents(stage, path, &mut made, steps)?;
        let at = CString::new(format!("{stage}{path}"))?;
        if about.is_symlink() {
            let to = std::fs::read_link(path).unwrap_or_default();
            let to = CString::new(to.to_string_lossy().as_bytes())?;
            steps.push(Furnish::Link { to, at });
            return Ok(());
        }
        steps.push(match about.is_dir() {
            true => Furnish::Folder(at.clone()),
            false => Furnish::File(at.clone()),
        });
        let source = CString::new(path)?;
        steps.push(Furnish::Show { source, at });
        Ok(())
    };
    for path in [
        "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
    ] {
        show(path, &mut steps)?;
    }
    for path in CONFIGURATION.iter().chain(DEVICES) {
        show(path, &mut steps)?;
    }
    for entry in std::fs::read_dir("/etc").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("java") {
            show(&format!("/etc/{name}"), &mut steps)?;
        }
    }
    for folder in folders
        .iter()
        .filter(|folder| Path::new(folder).is_absolute())
    {
        show(folder, &mut steps)?;
    }
    for folder in ["proc", "work"] {
        steps.push(Furnish::Folder(CString::new(format!("{stage}/{folder}"))?));
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        let at = CString::new(format!("{stage}/dev/{name}"))?;
        steps.push(Furnish::Link {
            to: CString::new(target)?,
            at,
        });
    }
    steps.push(Furnish::Processes(CString::new(format!("{stage}/proc"))?));
    steps.push(Furnish::Memory {
        at: CString::new(format!("{stage}/work"))?,
        options: CString::new(WORK)?,
    });
    steps.push(Furnish::Link {
        to: CString::new("work")?,
        at: CString::new(format!("{stage}/tmp"))?,
    });
    Ok(steps)
}

/// Folders above `path` in the new root.
fn parents(
    stage: &str,
    path: &str,
    made: &mut BTreeSet<String>,
    steps: &mut Vec<Furnish>,
) -> Result<(), NulError> {
    let above: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
    for folder in above.into_iter().rev() {
        let folder = folder.to_string_lossy().into_owned();
        if folder != "/" && made.insert(folder.clone()) {
            steps.push(Furnish::Folder(CString::new(format!("{stage}{folder}"))?));
        }
    }
    Ok(())
}
