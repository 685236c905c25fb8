//! The store, through its public interface.

mod basics;
mod collect;
mod crash;
mod fsck;
mod index;
mod limits;
mod record;
mod support;
mod together;
mod tree;
mod usage;
mod vectors;
