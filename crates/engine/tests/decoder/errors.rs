//! What is wrong is said in one line.
