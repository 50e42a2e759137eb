//! Packs of real data and seeded loaders.
