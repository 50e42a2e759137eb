//! From a page of markdown to its elements (section 3 of the official order of steps).
