//! How long work reports its progress.

/// The number of a task that [`Progress::start`] gave out.
pub type TaskId = u64;

/// Hears how long work goes on. Implementations print, draw or record; the library never does.
///
/// All methods may be called from several threads at once and must not block for long. Each task is started once and
/// finished once, also when its work fails; amounts of one task never go back, and their sum does not exceed its total.
pub trait Progress: Sync {
    /// A task begins: `what` is a short phrase ("fetch openssl 3.0.17-1"), `total` its size in bytes where known.
    fn start(&self, what: &str, total: Option<u64>) -> TaskId;

    /// `bytes` more of the task are done.
    fn advance(&self, task: TaskId, bytes: u64);

    /// The task has ended, well or not.
    fn finish(&self, task: TaskId);

    /// Something the user should know that is no error: one sentence without a full stop.
    fn note(&self, text: &str);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _what: &str, _total: Option<u64>) -> TaskId {
        0
    }

    fn advance(&self, _task: TaskId, _bytes: u64) {}

    fn finish(&self, _task: TaskId) {}

    fn note(&self, _text: &str) {}
}

/// A started task that is finished when dropped, so that no way out forgets it.
pub(crate) struct Task<'a> {
    progress: &'a dyn Progress,
    id: TaskId,
    done: u64,
}

impl<'a> Task<'a> {
    pub(crate) fn start(progress: &'a dyn Progress, what: &str, total: Option<u64>) -> Self {
        Self { progress, id: progress.start(what, total), done: 0 }
    }

    /// Work stands at `position` bytes now; a position that was reached before is not counted again.
    pub(crate) fn reached(&mut self, position: u64) {
        if position > self.done {
            self.progress.advance(self.id, position - self.done);
            self.done = position;
        }
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.progress.finish(self.id);
    }
}
