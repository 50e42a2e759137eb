//! CDM against recorded numbers.
