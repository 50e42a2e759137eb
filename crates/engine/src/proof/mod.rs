//! Arms run side by side, reported with intervals.
