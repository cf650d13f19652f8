//! Reads from their arrival to the answer: first leadership is confirmed, then the state machine catches up.

use std::collections::VecDeque;

use raft_core::{Index, ReadId};

use super::held::Waiting;

#[derive(Debug, Default)]
pub(super) struct Reads {
    last_id: u64,
    /// Waiting for the confirmation, in order of arrival.
    unconfirmed: VecDeque<(ReadId, Vec<Waiting>)>,
    /// Confirmed, waiting for the state machine to get there. Read indexes never decrease, so this is in order.
    confirmed: VecDeque<(Index, Vec<Waiting>)>,
    /// How many reads there are in all batches.
    count: usize,
}

impl Reads {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// A name for the next batch.
    pub(super) fn next_id(&mut self) -> ReadId {
        self.last_id += 1;
        ReadId(self.last_id)
    }

    /// Raft has taken a batch.
    pub(super) fn begin(&mut self, id: ReadId, batch: Vec<Waiting>) {
        self.count += batch.len();
        self.unconfirmed.push_back((id, batch));
    }

    /// The batch may be served once everything up to `index` is applied.
    pub(super) fn confirmed(&mut self, id: ReadId, index: Index) {
        if let Some(batch) = self.take(id) {
            self.confirmed.push_back((index, batch));
        }
    }

    /// The batch must start over.
    pub(super) fn aborted(&mut self, id: ReadId, arrived: &mut Vec<Waiting>) {
        if let Some(batch) = self.take(id) {
            self.count -= batch.len();
            arrived.extend(batch);
        }
    }

    /// All batches that were not served must start over.
    pub(super) fn abort_all(&mut self, arrived: &mut Vec<Waiting>) {
        self.count = 0;
        let unconfirmed = self.unconfirmed.drain(..).map(|(_, batch)| batch);
        arrived.extend(unconfirmed.chain(self.confirmed.drain(..).map(|(_, batch)| batch)).flatten());
    }

    /// The reads that may be served now that everything up to `applied` is executed.
    pub(super) fn served_by(&mut self, applied: Index) -> impl Iterator<Item = Waiting> + use<> {
        let ready = self.confirmed.iter().take_while(|(index, _)| *index <= applied).count();
        let served: Vec<_> = self.confirmed.drain(..ready).collect();
        self.count -= served.iter().map(|(_, batch)| batch.len()).sum::<usize>();
        served.into_iter().flat_map(|(_, batch)| batch)
    }

    /// Batches are decided in order, nearly always: then it is the first.
    fn take(&mut self, id: ReadId) -> Option<Vec<Waiting>> {
        let at = self.unconfirmed.iter().position(|(waiting, _)| *waiting == id)?;
        self.unconfirmed.remove(at).map(|(_, batch)| batch)
    }
}
