//! Archives of sources: the strict reader of `.deb`s for a plain, perhaps packed tar file.

use std::io::Read;

use crate::deb::unpack::unpack;
use crate::deb::{DebError, Header, Limits, tar};

/// The name of such an archive in errors.
const PART: &str = "the archive";

/// Reads an archive to its end, calling `visit` with each entry. `compression` is empty, `.gz`, `.xz` or `.zst`.
///
/// # Errors
/// The first error of the archive or of `visit`.
pub fn walk<E: From<DebError>>(
    packed: impl Read,
    compression: &str,
    visit: &mut dyn FnMut(&Header, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let limits = Limits::default();
    let mut unpacked = unpack(packed, compression, PART, limits.data)?;
    tar::walk(&mut unpacked, PART, &limits, visit)
}
