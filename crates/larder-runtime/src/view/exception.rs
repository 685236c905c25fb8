//! What a way of making views can't do.
//!
//! Each way declares its exceptions; the conformance suite checks that exactly these differ, so that one which no longer holds fails as
//! one that was never declared does. Those of old kernels hold where the suite finds, without the code here, that the kernel is such a one.
//! `docs/views.md` prints the table, and a test compares.

/// Something that a way of making views can't do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exception {
    /// An owner or group outside the user namespace's map shows as the process's own (with a single id, all do).
    UnmappedOwnersAreOwn,
    /// Where the process may not set `security.capability`, files are without.
    CapabilitiesMayBeMissing,
    /// Where the kernel follows the marks of an image only with `metacopy=on`: directories of the view can be renamed, and a file of which only
    /// attributes were changed has no content of its own in the upper.
    OldKernelsLeanOnTheView,
    /// Where overlays have none, no file without a name can be made in the view (`O_TMPFILE`).
    OldKernelsHaveNoUnnamedFiles,
    /// A file that a package has below `/packages` and at its place is one file with one number and a link count of 1, unless packages' files may
    /// be written.
    PackagesFilesAreOne,
    /// Files with the same content and the same attributes are hard links of each other until one is written: they share a
    /// number, their link count is above one, and a file's number changes when it is written for the first time.
    FilesAreHardLinks,
    /// A content that is shown with other attributes is in memory, and on a file system without reflinks on the disk, once more.
    AttributesCostACopy,
    /// A file that a package has at the same path is a symbolic link to it; any other file is a copy in memory, for each container.
    PackagesFilesAreLinks,
    /// Below `/packages`, files with the same content and the same attributes are hard links of each other.
    PackagesAreHardLinks,
    /// Packages' files can't be changed, where the container's own layer lies over them neither.
    PackagesAreNeverWritten,
    /// What a container writes is kept in memory, and gone when its view is unmounted.
    WritesAreInMemory,
    /// A directory of the view can be renamed; links to packages in it lead nowhere when it is then more or less deep.
    DirectoriesCanBeRenamed,
    /// Where tmpfs has no `user.*` attributes, what isn't below `/packages` has none.
    OldTmpfsHasNoAttributes,
}

impl Exception {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::UnmappedOwnersAreOwn,
        Self::CapabilitiesMayBeMissing,
        Self::OldKernelsLeanOnTheView,
        Self::OldKernelsHaveNoUnnamedFiles,
        Self::PackagesFilesAreOne,
        Self::FilesAreHardLinks,
        Self::AttributesCostACopy,
        Self::PackagesFilesAreLinks,
        Self::PackagesAreHardLinks,
        Self::PackagesAreNeverWritten,
        Self::WritesAreInMemory,
        Self::DirectoriesCanBeRenamed,
        Self::OldTmpfsHasNoAttributes,
    ];

    /// What differs, as a phrase for a person.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnmappedOwnersAreOwn => {
                "an owner outside the container's range of ids shows as the container's root; with a single id, all do"
            }
            Self::CapabilitiesMayBeMissing => "where the caller may not give file capabilities, files have none",
            Self::OldKernelsLeanOnTheView => {
                "before about Linux 6.16: directories of the view can be renamed, and a file whose attributes alone were changed has no content of its own in the container's layer"
            }
            Self::OldKernelsHaveNoUnnamedFiles => "before Linux 6.3: no `O_TMPFILE`",
            Self::PackagesFilesAreOne => {
                "a package's file below `/packages` and the one at its place are one, with one number and a link count of 1, unless packages' files may be written (`--writable`)"
            }
            Self::FilesAreHardLinks => {
                "files with the same content and attributes are hard links of each other until one is written: their link count is above one, and a file's number changes when it is first written"
            }
            Self::AttributesCostACopy => {
                "a content that is shown with two modes, owners or times is in memory twice, and without reflinks on the disk as well"
            }
            Self::PackagesFilesAreLinks => {
                "a package's file is a symbolic link to it; any other file is a copy in memory, for each container"
            }
            Self::PackagesAreHardLinks => {
                "below `/packages`, files with the same content and attributes are hard links of each other"
            }
            Self::PackagesAreNeverWritten => "packages' files can't be changed, with `--writable` neither",
            Self::WritesAreInMemory => "what a container writes is in memory",
            Self::DirectoriesCanBeRenamed => {
                "directories of the view can be renamed; links to packages in one lead nowhere when it is then more or less deep"
            }
            Self::OldTmpfsHasNoAttributes => "before Linux 6.6: no `user.*` attributes but below `/packages`",
        }
    }
}
