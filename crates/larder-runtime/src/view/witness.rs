//! The one file that is read after each mount.

/// A file of a view and the object that it must show.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    pub(crate) path: Vec<u8>,
    pub(crate) object: [u8; 32],
    pub(crate) size: u64,
}
