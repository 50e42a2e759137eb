//! Which predicted element answers which annotated block.
