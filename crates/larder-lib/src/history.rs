//! The records that a name has had, and going back to an earlier one.

use larder_store::refs::{RefEntry, RefKind, RefRecord};
use larder_store::{Name, Reference, Selector, Store};

use crate::images::{find, no_record, select};
use crate::{Error, Result};

/// What a name can be of, in the order in which it is looked up.
const KINDS: [RefKind; 3] = [RefKind::Image, RefKind::Package, RefKind::Distribution];

/// All records that a name has had, the oldest first: of an image, a package of one's own or a distribution of one's own.
///
/// # Errors
/// No such name.
pub fn history(store: &Store, name: &Name) -> Result<RefRecord> {
    Ok(named(store, name)?.1)
}

fn named(store: &Store, name: &Name) -> Result<(RefKind, RefRecord)> {
    for kind in KINDS {
        if let Some(history) = store.refs().get(kind, name.as_str())? {
            return Ok((kind, history));
        }
    }
    Err(unknown(store, name))
}

/// Makes a name stand for its earlier record, or, where the reference selects one, for that, even if it is a later one.
///
/// # Errors
/// No such name, no earlier record, or no such record.
pub fn rollback(store: &Store, reference: &Reference) -> Result<RefEntry> {
    let (kind, history) = named(store, &reference.name)?;
    if reference.selector == Selector::Latest {
        return Ok(store.refs().rollback(kind, reference.name.as_str())?);
    }
    let wanted = select(&history, &reference.selector).ok_or_else(|| no_record(reference, &history))?.fileset;
    Ok(store.refs().select(kind, reference.name.as_str(), &wanted)?)
}

/// Drops a name with its whole history. What only it needed goes with the next garbage collection.
///
/// # Errors
/// No such name.
pub fn remove(store: &Store, name: &Name) -> Result<()> {
    let (kind, _) = named(store, name)?;
    if store.refs().remove(kind, name.as_str())? { Ok(()) } else { Err(unknown(store, name)) }
}

/// Drops the records before the current one.
///
/// # Errors
/// No such name.
pub fn forget_earlier(store: &Store, name: &Name) -> Result<usize> {
    let (kind, _) = named(store, name)?;
    Ok(store.refs().forget_earlier(kind, name.as_str(), 1)?)
}

fn unknown(store: &Store, name: &Name) -> Error {
    let reference = Reference { name: name.clone(), selector: Selector::Latest };
    match find(store, &reference) {
        Err(error) => error,
        // It has come to be between two looks.
        Ok(_) => Error::NoImage { reference: Box::new(reference), nearest: Vec::new() },
    }
}
