//! The benchmark's names, such as `SweepToTop-Longstick-State-Allo-Demo-v0`.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

use super::{EMBODIMENTS, Layout, Task, Variant, View};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvName {
    /// The task, the robot, what is drawn by lot.
    pub layout: Layout,
    /// Whether observations are states rather than pictures.
    pub state: bool,
    /// From where pictures are seen.
    pub view: View,
}

/// A name that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an environment: write it as `SweepToTop-Longstick-State-Allo-Demo-v0` (tasks SweepToTop, Avoiding, Grouping; robots Gripper, Shortstick, Mediumstick, Longstick; State or Pixels; Allo or Ego; Demo, TestLayout, TestColor, TestShape, TestDynamics or TestAll)"
)]
pub struct NameError(String);

const TASKS: [(&str, Task); 3] = [
    ("SweepToTop", Task::Sweep),
    ("Avoiding", Task::Avoid),
    ("Grouping", Task::Group),
];

const VARIANTS: [(&str, Variant); 6] = [
    ("Demo", Variant::Demo),
    ("TestLayout", Variant::TestLayout),
    ("TestColor", Variant::TestColor),
    ("TestShape", Variant::TestShape),
    ("TestDynamics", Variant::TestDynamics),
    ("TestAll", Variant::TestAll),
];

impl FromStr for EnvName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let parse = || {
            let parts: Vec<&str> = name.split('-').collect();
            let [task, robot, sees, view, variant, "v0"] = parts[..] else {
                return None;
            };
            let task = TASKS.iter().find(|known| known.0 == task)?.1;
            let embodiment = EMBODIMENTS
                .into_iter()
                .find(|known| known.name() == robot)?;
            let variant = VARIANTS.iter().find(|known| known.0 == variant)?.1;
            let state = match sees {
                "State" => true,
                "Pixels" => false,
                _ => return None,
            };
            Some(Self {
                layout: Layout {
                    task,
                    embodiment,
                    variant,
                },
                state,
                view: View::from_str(view, true).ok()?,
            })
        };
        parse().ok_or_else(|| NameError(name.chars().take(80).collect()))
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layout = self.layout;
        let task = TASKS.iter().find(|known| known.1 == layout.task);
        let variant = VARIANTS.iter().find(|known| known.1 == layout.variant);
        write!(
            f,
            "{}-{}-{}-{}-{}-v0",
            task.map_or("", |known| known.0),
            layout.embodiment.name(),
            if self.state { "State" } else { "Pixels" },
            if self.view == View::Allo {
                "Allo"
            } else {
                "Ego"
            },
            variant.map_or("", |known| known.0),
        )
    }
}
