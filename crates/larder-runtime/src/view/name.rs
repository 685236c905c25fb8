//! The names of the five ways.

use std::fmt;

/// A way of making a view, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ViewKindName {
    /// An EROFS image of the listing, mounted from its file, over the objects. Needs root and a store on a disk.
    Erofs,
    /// The same image through a loop device, for kernels that mount no EROFS from a file.
    ErofsLoop,
    /// Sparse files on disk that lead to the objects, for ordinary users.
    Stubs,
    /// A tree of hard links on disk, for ordinary users on older kernels.
    Checkout,
    /// Links into `/packages` in memory, for where nothing else works.
    Symlink,
}

impl ViewKindName {
    /// All ways, in the order in which they are tried.
    pub const ALL: [Self; 5] = [Self::Erofs, Self::ErofsLoop, Self::Stubs, Self::Checkout, Self::Symlink];

    /// The name as a person writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erofs => "erofs",
            Self::ErofsLoop => "erofs-loop",
            Self::Stubs => "stubs",
            Self::Checkout => "checkout",
            Self::Symlink => "symlink",
        }
    }

    /// The way with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

impl fmt::Display for ViewKindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
