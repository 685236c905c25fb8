//! The worked examples of `docs/formats.md`, compared with the code.
