//! Links that the composition broke.
//!
//! Many of Debian's links dangle by design: `-dev` links to libraries that aren't installed, links to documentation of
//! other packages, links that a script would have made whole. dpkg leaves them dangling too, so they are counted and not
//! reported. A link is reported where Larder is to blame, or the image's author: a composer made it; or it points to a
//! path that some package of the image ships and that something else has taken the place of; or it is the image's own, or
//! one that a package wanted made (`links` of its install rules).

use larder_store::Entry;

use super::root::{Place, text};
use super::{Found, Input, Owner, Reason, Root, Severity};

/// Adds a finding for each broken link and gives the number of the other dangling ones.
pub(super) fn check(root: &Root<'_>, input: &Input<'_>, found: &mut Found) -> usize {
    let mut others = 0;
    for (index, entry) in root.entries.iter().enumerate() {
        if !matches!(entry.entry, Entry::Symlink { .. }) {
            continue;
        }
        let place = root.place(entry.path.as_bytes());
        let reason = match place {
            Place::File(_) | Place::Directory(_) | Place::Runtime => continue,
            Place::Circle => Reason::CircularLink,
            Place::Missing(target) => {
                if matches!(entry.owner, Owner::Package(_)) && !(input.ships)(&target) {
                    others += 1;
                    continue;
                }
                Reason::BrokenLink { target: text(&target) }
            }
        };
        let on_path = !matches!(entry.owner, Owner::Image) && root.is_searched(entry.path.as_bytes());
        found.add(index, reason, None, if on_path { Severity::Failure } else { Severity::Finding });
    }
    others
}
