//! Where a process meets others: before each change that others can see, each look at what they change, and each lock.
//!
//! In a program these are the system calls themselves and nothing more. In the model check (`crate::model`), where threads play
//! processes, each is a point at which the others may go on, and whoever waits for a lock lets them.

#[cfg(test)]
pub(crate) use crate::model::step::{Held, lock, sleep, step, try_lock};
#[cfg(not(test))]
pub(crate) use program::{Held, lock, sleep, step, try_lock};

pub(crate) mod program {
    use std::fs::{File, TryLockError};
    use std::io;
    use std::path::Path;
    use std::time::Duration;

    use crate::store::Hold;

    /// What is about to be done with which path. Nothing is to be held here that another thread of this process waits for.
    #[cfg(not(test))]
    #[inline(always)]
    pub(crate) fn step(_what: &'static str, _path: &Path) {}

    /// Waits until the lock is free. The path is that of the file.
    pub(crate) fn lock(file: &File, _path: &Path, hold: Hold) -> io::Result<()> {
        match hold {
            Hold::Shared => file.lock_shared(),
            Hold::Exclusive => file.lock(),
        }
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_lock(file: &File, _path: &Path, hold: Hold) -> Result<(), TryLockError> {
        match hold {
            Hold::Shared => file.try_lock_shared(),
            Hold::Exclusive => file.try_lock(),
        }
    }

    pub(crate) fn sleep(time: Duration) {
        std::thread::sleep(time);
    }

    /// Stands for a lock that is held, and is dropped when it has been released.
    #[cfg(not(test))]
    #[derive(Debug)]
    pub(crate) struct Held;

    #[cfg(not(test))]
    impl Held {
        pub(crate) fn new(_path: &Path) -> Self {
            Self
        }
    }
}
