//! Replaces helpers in builds without threads: the caller does all the work.

pub(crate) fn pool_size() -> usize {
    1
}

pub(super) fn share(_threads: usize, work: &(dyn Fn() + Sync)) {
    work();
}

pub(super) fn ended() {}

pub(super) fn is_called_often() -> bool {
    false
}
