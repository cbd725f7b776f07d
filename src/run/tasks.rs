//! Tasks of a call, one after the other or on threads.

use super::exec::Threads;
use super::interrupt::goes_on;
use super::queue::{Queue, Shared};
use super::team::{self, share};

/// Portions of small tasks for each thread.
const PORTIONS: usize = 4;

/// Does so many tasks on threads, until work ends. So many of them, one after the other, share what a thread has of them:
/// they go to one thread where there are several such groups for each.
pub(super) fn each(tasks: usize, group: usize, threads: Threads, one: &Shared<impl Fn(usize)>) {
    match threads.count {
        1 => (0..tasks).take_while(|_| goes_on()).for_each(|task| (one.get())(task)),
        count => {
            let portion = tasks.div_ceil(count * PORTIONS);
            let queue =
                Queue::new(tasks, if portion > group { portion / group * group } else { portion });
            share(count, &|| {
                while let Some(tasks) = queue.take() {
                    tasks.take_while(|_| goes_on()).for_each(|task| (one.get())(task));
                }
            });
        }
    }
    if threads.are_worth_it {
        team::ended();
    }
}
