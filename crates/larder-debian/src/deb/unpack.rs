//! The compressions that packages use, each with a bound on memory and on output.

use std::io::{self, BufReader, Read};

use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use super::DebError;

/// A decoder's memory: xz -9 needs 65 MiB, zstd's largest window without an option 128 MiB.
const MEMORY: u64 = 160 << 20;
const WINDOW_LOG: u32 = 27;

/// A decoder's output, cut off with an error where it exceeds its bound.
pub struct Unpacked<'a> {
    inner: Box<dyn Read + 'a>,
    part: &'static str,
    left: u64,
    bound: u64,
}

/// Chooses the decoder by what follows `.tar` in the archive's name: nothing, `.gz`, `.xz` or `.zst`. All streams or frames are read, of
/// which no more than `bound` bytes may come. `part` names the archive in errors.
///
/// # Errors
/// Another compression, or a decoder that can't begin. What is wrong with the bytes comes while they are read.
pub fn unpack<'a>(
    packed: impl Read + 'a,
    suffix: &str,
    part: &'static str,
    bound: u64,
) -> Result<Unpacked<'a>, DebError> {
    let failed = |source| DebError::Unpack { part, source };
    let inner: Box<dyn Read + 'a> = match suffix {
        "" => Box::new(packed),
        ".gz" => Box::new(flate2::read::MultiGzDecoder::new(packed)),
        ".xz" => {
            let stream = Stream::new_stream_decoder(MEMORY, CONCATENATED).map_err(|e| failed(e.into()))?;
            Box::new(XzDecoder::new_stream(packed, stream))
        }
        ".zst" => {
            let mut decoder = zstd::stream::read::Decoder::new(packed).map_err(failed)?;
            decoder.window_log_max(WINDOW_LOG).map_err(failed)?;
            Box::new(decoder)
        }
        _ => return Err(DebError::Compression { part, suffix: suffix.to_owned() }),
    };
    let inner = Box::new(BufReader::with_capacity(64 << 10, inner));
    Ok(Unpacked { inner, part, left: bound, bound })
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(count) if count as u64 > self.left => {
                let what = match self.part {
                    "data.tar" => "data.tar, unpacked,",
                    "control.tar" => "control.tar, unpacked,",
                    _ => "the archive, unpacked,",
                };
                Err(DebError::limit(what, self.bound).into_io())
            }
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) if error.get_ref().is_some_and(|inner| inner.is::<DebError>()) => Err(error),
            Err(source) => Err(DebError::Unpack { part: self.part, source }.into_io()),
        }
    }
}
