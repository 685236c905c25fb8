//! The store, through its public interface.

mod basics;
mod collect;
mod crash;
mod fsck;
mod index;
mod limits;
mod support;
mod together;
mod usage;
