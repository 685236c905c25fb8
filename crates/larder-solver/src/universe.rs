//! What there is to choose from.

/// A package's number in its universe; stable while the universe lives.
pub type PackageId = u32;

/// Debian's priorities, the most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Without it a Debian system does not work.
    Required,
    /// Expected on any Unix-like system.
    Important,
    /// A small character-mode system.
    Standard,
    /// Most packages.
    Optional,
    /// Conflicts with others or needs special care (no longer assigned).
    Extra,
}

impl Priority {
    /// The priority with Debian's name for it; an unknown name counts as [`Priority::Optional`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "required" => Self::Required,
            "important" => Self::Important,
            "standard" => Self::Standard,
            "extra" => Self::Extra,
            _ => Self::Optional,
        }
    }
}

/// One version of one package: the fields of its stanza that solving reads, as written. Absent fields are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageInfo<'a> {
    /// The package's name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// `amd64`, `all`…
    pub architecture: &'a str,
    /// `same`, `foreign`, `allowed` or empty.
    pub multi_arch: &'a str,
    /// Whether it says `Essential: yes`.
    pub essential: bool,
    /// Its priority.
    pub priority: Priority,
    /// The `Depends` field.
    pub depends: &'a str,
    /// The `Pre-Depends` field.
    pub pre_depends: &'a str,
    /// The `Recommends` field.
    pub recommends: &'a str,
    /// The `Conflicts` field.
    pub conflicts: &'a str,
    /// The `Breaks` field.
    pub breaks: &'a str,
    /// The `Provides` field.
    pub provides: &'a str,
}

/// The packages to choose from. Solving asks about few of them, so an implementation should not parse what it isn't asked.
///
/// Invariants that solving relies on: answers do not change while the universe is borrowed; a name that has no
/// packages gives an empty list; no two packages have the same name, version and architecture.
pub trait Universe {
    /// All packages with exactly this name, in any order.
    fn candidates(&self, name: &str) -> Vec<PackageId>;

    /// All packages whose `Provides` names `name`, in any order; those *called* `name` need not be listed.
    fn providers(&self, name: &str) -> Vec<PackageId>;

    /// What the solver reads of a package. The id came from this universe.
    fn package(&self, id: PackageId) -> PackageInfo<'_>;

    /// All packages that say `Essential: yes`, in any order.
    fn essential(&self) -> Vec<PackageId>;

    /// Where the archive's indexes first mention this package's name, whether as a stanza or in another's field (counting
    /// names from 1). It decides between providers that nothing else tells apart, the later winning, because apt decides so.
    /// All versions of a name have the same number. Without it the name decides.
    fn archive_order(&self, id: PackageId) -> u32 {
        let _ = id;
        0
    }

    /// The architecture to solve for, such as `amd64`.
    fn architecture(&self) -> &str;

    /// Names like the one given, for "did you mean"; the best first. [`crate::nearest_names`] does the work.
    fn nearest_names(&self, name: &str) -> Vec<String>;
}
