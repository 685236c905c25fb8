//! What a name stands for: an image, a distribution or a package.

use larder_store::Reference;

use super::{Inspection, PackageInspection, package};
use crate::distributions::{self, DistributionInspection};
use crate::{Host, Result, images};

/// What a reference means.
#[derive(Debug)]
pub enum Subject {
    /// An image.
    Image(Box<Inspection>),
    /// A distribution of one's own, where no image has the name.
    Distribution(Box<DistributionInspection>),
    /// A package of this host, where neither has the name.
    Package(Box<PackageInspection>),
}

/// Inspects an image, or else a distribution, or else a package.
///
/// # Errors
/// None of them is here; records that are missing or damaged.
pub fn subject(host: &Host, reference: &Reference) -> Result<Subject> {
    if images::history(&host.store, &reference.name)?.is_none() {
        if let Some(found) = distributions::inspect(&host.store, reference)? {
            return Ok(Subject::Distribution(Box::new(found)));
        }
        if let Some(found) = package::package(host, reference)? {
            return Ok(Subject::Package(Box::new(package::inspect(host, found)?)));
        }
    }
    Ok(Subject::Image(Box::new(super::inspect(&host.store, reference)?)))
}
