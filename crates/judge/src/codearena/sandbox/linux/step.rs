//! What a run tells its parent: the step that failed, or its end.

use std::os::fd::RawFd;

use super::calls::errno;

/// Where a run stands when it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Exited = 0,
    Users = 1,
    Root = 2,
    Files = 3,
    Limits = 4,
    Drop = 5,
    Filter = 6,
    Exec = 7,
    Group = 8,
}

impl Step {
    pub(super) fn from_code(code: i32) -> Option<Self> {
        use Step::{Drop, Exec, Exited, Files, Filter, Group, Limits, Root, Users};
        [
            Exited, Users, Root, Files, Limits, Drop, Filter, Exec, Group,
        ]
        .into_iter()
        .find(|step| *step as i32 == code)
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Exited => "its end",
            Self::Users => "its user namespace",
            Self::Root => "its root folder",
            Self::Files => "its files",
            Self::Limits => "its limits",
            Self::Drop => "giving up privileges",
            Self::Filter => "its system-call filter",
            Self::Exec => "starting the program",
            Self::Group => "its control group",
        }
    }
}

/// Where it is reported.
pub(super) const STATUS: RawFd = 3;

/// Ends the process where a step failed.
pub(super) fn demand(step: Step, done: bool) {
    if !done {
        report(step, errno());
        // SAFETY: ends this process.
        unsafe { libc::_exit(1) }
    }
}

/// Eight bytes for the parent.
pub(super) fn report(step: Step, value: i32) {
    let message = [step as i32, value];
    // SAFETY: writes eight bytes of a local array.
    unsafe { libc::write(STATUS, message.as_ptr().cast(), 8) };
}
