//! The records that a name has had, and going back to an earlier one.

use larder_store::refs::{RefEntry, RefKind, RefRecord};
use larder_store::{Name, Reference, Selector, Store};

use crate::images::{find, history as records, no_record, select};
use crate::{Error, Result};

/// All records that a name has had, the oldest first.
///
/// # Errors
/// No such image.
pub fn history(store: &Store, name: &Name) -> Result<RefRecord> {
    match records(store, name)? {
        Some(history) => Ok(history),
        None => Err(unknown(store, name)),
    }
}

/// Makes a name stand for its earlier record, or, where the reference selects one, for that, even if it is a later one.
///
/// # Errors
/// No such image, no earlier record, or no such record.
pub fn rollback(store: &Store, reference: &Reference) -> Result<RefEntry> {
    let history = history(store, &reference.name)?;
    if reference.selector == Selector::Latest {
        return Ok(store.refs().rollback(RefKind::Image, reference.name.as_str())?);
    }
    let wanted = select(&history, &reference.selector).ok_or_else(|| no_record(reference, &history))?.fileset;
    Ok(store.refs().select(RefKind::Image, reference.name.as_str(), &wanted)?)
}

/// Drops a name with its whole history. What only it needed goes with the next garbage collection.
///
/// # Errors
/// No such image.
pub fn remove(store: &Store, name: &Name) -> Result<()> {
    if store.refs().remove(RefKind::Image, name.as_str())? { Ok(()) } else { Err(unknown(store, name)) }
}

/// Drops the records before the current one.
///
/// # Errors
/// No such image.
pub fn forget_earlier(store: &Store, name: &Name) -> Result<usize> {
    history(store, name)?;
    Ok(store.refs().forget_earlier(RefKind::Image, name.as_str(), 1)?)
}

fn unknown(store: &Store, name: &Name) -> Error {
    let reference = Reference { name: name.clone(), selector: Selector::Latest };
    match find(store, &reference) {
        Err(error) => error,
        // It has come to be between two looks.
        Ok(_) => Error::NoImage { reference: Box::new(reference), nearest: Vec::new() },
    }
}
