//! Jobs that wait for one worker, at most so many, and their answers.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use percept_base::lock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::call::Room;

/// What a client waits that is refused, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Where jobs are handed in. Dropping it tells the worker that no more will come.
#[derive(Debug)]
pub struct Queue<J, A> {
    jobs: Sender<Ticket<J, A>>,
    places: Arc<Semaphore>,
    capacity: usize,
    pace: Arc<Mutex<Option<Duration>>>,
}

/// Where they are taken out.
#[derive(Debug)]
pub struct Worker<J, A> {
    waiting: Receiver<Ticket<J, A>>,
    /// What a job takes.
    pace: Arc<Mutex<Option<Duration>>>,
    /// The batch that was taken last: when, and how many.
    taken: Option<(Instant, usize)>,
}

/// A job and where its answer goes.
#[derive(Debug)]
pub struct Ticket<J, A> {
    /// What is to be done.
    pub job: J,
    /// Who waits for it.
    pub reply: Reply<A>,
}

/// Who waits for an answer, and the job's place in the queue. Dropping it tells the client that the job failed.
#[derive(Debug)]
pub struct Reply<A> {
    answer: oneshot::Sender<A>,
    _place: OwnedSemaphorePermit,
    _room: Arc<Room>,
}

/// Why jobs were not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Busy {
    /// They would never fit.
    #[error("{asked} at once are more than the {capacity} that may wait; send fewer in a request")]
    TooMany {
        /// Jobs.
        asked: usize,
        /// Places.
        capacity: usize,
    },
    /// They do not fit now.
    #[error("all {capacity} places of the queue are taken")]
    Full {
        /// Places.
        capacity: usize,
        /// When there will be room, by what jobs took so far.
        retry_after: Duration,
    },
    /// The worker is gone.
    #[error("the worker has ended")]
    Gone,
}

/// A queue with so many places: jobs that wait or are worked on.
pub fn queue<J, A>(capacity: usize) -> (Queue<J, A>, Worker<J, A>) {
    let (send, receive) = channel();
    let capacity = capacity.min(Semaphore::MAX_PERMITS);
    let pace = Arc::new(Mutex::new(None));
    let queue = Queue {
        jobs: send,
        places: Arc::new(Semaphore::new(capacity)),
        capacity,
        pace: Arc::clone(&pace),
    };
    let worker = Worker {
        waiting: receive,
        pace,
        taken: None,
    };
    (queue, worker)
}

impl<J, A> Queue<J, A> {
    /// Hands in the jobs of one request, all or none. The future gives their answers, in their order; `None` where the worker
    /// failed on one. Dropping the future gives up: jobs that nobody waits for are not done.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn submit(
        &self,
        jobs: Vec<J>,
        room: Room,
    ) -> Result<impl Future<Output = Option<Vec<A>>> + use<J, A>, Busy> {
        let (asked, capacity) = (jobs.len(), self.capacity);
        if asked > capacity {
            return Err(Busy::TooMany { asked, capacity });
        }
        let places = u32::try_from(asked).ok();
        let places = places.and_then(|n| Arc::clone(&self.places).try_acquire_many_owned(n).ok());
        let Some(mut places) = places else {
            let retry_after = self.pause(asked);
            return Err(Busy::Full {
                capacity,
                retry_after,
            });
        };
        let room = Arc::new(room);
        let mut answers = Vec::with_capacity(asked);
        for job in jobs {
            let Some(place) = places.split(1) else {
                return Err(Busy::Gone);
            };
            let (send, receive) = oneshot::channel();
            let reply = Reply {
                answer: send,
                _place: place,
                _room: Arc::clone(&room),
            };
            let sent = self.jobs.send(Ticket { job, reply });
            sent.map_err(|_| Busy::Gone)?;
            answers.push(receive);
        }
        Ok(async move {
            let mut all = Vec::with_capacity(answers.len());
            for answer in answers {
                all.push(answer.await.ok()?);
            }
            Some(all)
        })
    }

    /// Jobs that wait or are worked on.
    pub fn len(&self) -> usize {
        self.capacity - self.places.available_permits()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Until `asked` places are likely to be free.
    fn pause(&self, asked: usize) -> Duration {
        let missing = asked.saturating_sub(self.places.available_permits());
        let one = (*lock(&self.pace)).unwrap_or(Duration::from_secs(1));
        one.saturating_mul(u32::try_from(missing).unwrap_or(u32::MAX))
            .min(LONGEST_PAUSE)
    }
}

impl<J, A> Worker<J, A> {
    /// Waits for a job and takes it with those behind it, at most `most`, without those that nobody waits for any more. `None`
    /// when no more will come.
    pub fn next(&mut self, most: usize) -> Option<Vec<Ticket<J, A>>> {
        if let Some((since, count)) = self.taken.take() {
            let new = since.elapsed() / u32::try_from(count).unwrap_or(u32::MAX).max(1);
            let mut pace = lock(&self.pace);
            *pace = Some(pace.map_or(new, |old| (old * 3 + new) / 4));
        }
        let mut batch = Vec::new();
        while batch.is_empty() {
            let awaited = |ticket: &Ticket<J, A>| ticket.reply.awaited();
            batch.extend(Some(self.waiting.recv().ok()?).filter(awaited));
            while batch.len() < most.max(1)
                && let Ok(ticket) = self.waiting.try_recv()
            {
                batch.extend(Some(ticket).filter(awaited));
            }
        }
        self.taken = Some((Instant::now(), batch.len()));
        Some(batch)
    }
}

impl<A> Reply<A> {
    /// Whether a client still waits.
    fn awaited(&self) -> bool {
        !self.answer.is_closed()
    }

    /// Answers, and frees the job's place.
    pub fn answer(self, answer: A) {
        // Who has gone away meanwhile needs no answer.
        let _ = self.answer.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn jobs_of_a_request_are_taken_together_or_not_at_all() {
        let (queue, mut worker) = queue::<u32, u32>(4);
        let first = queue.submit(vec![1, 2, 3], Room::default()).unwrap();
        let refused = queue.submit(vec![4, 5], Room::default()).err().unwrap();
        assert!(
            matches!(refused, Busy::Full { capacity: 4, .. }),
            "{refused:?}"
        );
        let never = queue.submit(vec![0; 5], Room::default()).err().unwrap();
        assert!(matches!(never, Busy::TooMany { asked: 5, .. }), "{never:?}");
        let second = queue.submit(vec![6], Room::default()).unwrap();
        assert_eq!(queue.len(), 4);
        let batch = worker.next(10).unwrap();
        for ticket in batch {
            ticket.reply.answer(ticket.job * 10);
        }
        assert!(queue.is_empty());
        assert_eq!(block_on(first), Some(vec![10, 20, 30]));
        assert_eq!(block_on(second), Some(vec![60]));
    }

    #[test]
    fn what_nobody_waits_for_is_not_done_and_gives_its_place_back() {
        let (queue, mut worker) = queue::<u32, u32>(2);
        let gone = queue.submit(vec![1], Room::default()).unwrap();
        let kept = queue.submit(vec![2], Room::default()).unwrap();
        drop(gone);
        let batch = worker.next(8).unwrap();
        let jobs: Vec<u32> = batch.iter().map(|ticket| ticket.job).collect();
        assert_eq!((jobs, queue.len()), (vec![2], 1));
        // The worker fails on it.
        drop(batch);
        assert_eq!(block_on(kept), None);
        drop(queue);
        assert!(worker.next(8).is_none());
    }

    #[test]
    fn a_refused_client_is_told_to_come_back_when_there_is_room() {
        let (queue, mut worker) = queue::<u32, u32>(1);
        let _first = queue.submit(vec![1], Room::default()).unwrap();
        let pause = |queue: &Queue<u32, u32>| match queue.submit(vec![2], Room::default()) {
            Err(Busy::Full { retry_after, .. }) => retry_after,
            _ => panic!("there was room"),
        };
        assert_eq!(pause(&queue), Duration::from_secs(1));
        let batch = worker.next(1).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        drop(batch);
        let _second = queue.submit(vec![3], Room::default()).unwrap();
        drop(worker.next(1));
        let _third = queue.submit(vec![4], Room::default()).unwrap();
        let pause = pause(&queue);
        assert!(pause >= Duration::from_millis(20) && pause < Duration::from_secs(1));
    }
}
