//! Pure dependency solving: versions, requirements, resolution, explanations.

#![forbid(unsafe_code)]
