//! Loop devices that go when nobody uses them any more.

#![expect(unsafe_code, reason = "loop devices are set up by ioctls")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use crate::error::RuntimeError;

const CONTROL: &str = "/dev/loop-control";

/// From `linux/loop.h`.
const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// How often another process may be quicker in taking a free device.
const TRIES: usize = 64;

/// `struct loop_info64`.
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// A loop device over a file. The kernel frees it when neither this nor a mount has it open, however their processes ended.
pub(crate) struct LoopDevice {
    path: PathBuf,
    _open: File,
}

impl LoopDevice {
    /// Sets up a free device over `image`, read-only.
    pub(crate) fn open(image: &Path) -> Result<Self, RuntimeError> {
        let file = File::open(image).map_err(RuntimeError::io("open", image))?;
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .open(CONTROL)
            .map_err(RuntimeError::io("open", Path::new(CONTROL)))?;
        let refused = |step: &str| {
            let what = format!("a loop device ({step})");
            move |source| RuntimeError::Mount { what, log: String::new(), source }
        };
        for _ in 0..TRIES {
            // SAFETY: the request takes no argument; it gives the number of a device that exists now.
            let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
            if number < 0 {
                return Err(refused("find a free one")(io::Error::last_os_error()));
            }
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = match OpenOptions::new().read(true).open(&path) {
                // Nobody has made its node yet; where nobody does so at all, the tries end.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    continue;
                }
                device => device.map_err(RuntimeError::io("open", &path))?,
            };
            match configure(&device, &file) {
                Ok(()) => return Ok(Self { path, _open: device }),
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                Err(error) => return Err(refused("set it up")(error)),
            }
        }
        Err(refused("find a free one")(io::ErrorKind::ResourceBusy.into()))
    }

    /// The device.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Puts the file behind the device and everything else in the same step, so that at no instant a killed process leaves a device that stays.
fn configure(device: &File, file: &File) -> io::Result<()> {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut config: Config = unsafe { std::mem::zeroed() };
    config.fd = file.as_raw_fd() as u32;
    config.info.flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
    // SAFETY: the structure has the kernel's layout, and the kernel only reads it during the call.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<Info>(), 232);
        assert_eq!(size_of::<Config>(), 304);
    }
}
