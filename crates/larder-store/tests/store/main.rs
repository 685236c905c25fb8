//! The store, through its public interface.

mod basics;
mod collect;
mod crash;
mod fsck;
mod index;
mod limits;
mod together;
mod usage;
mod support;
