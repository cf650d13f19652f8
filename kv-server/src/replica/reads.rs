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

    /// Confirmed batches that wait for the state machine must start over: leadership is lost, and with it perhaps the entries
    /// they wait for.
    pub(super) fn abort_confirmed(&mut self, arrived: &mut Vec<Waiting>) {
        let batches = self.confirmed.drain(..).flat_map(|(_, batch)| batch);
        let before = arrived.len();
        arrived.extend(batches);
        self.count -= arrived.len() - before;
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

#[cfg(test)]
mod tests {
    use super::super::io::{Ask, RequestId};
    use super::*;

    #[test]
    fn confirmed_reads_start_over_when_leadership_is_lost() {
        // What a confirmed read waits for may be cut off by the next leader: it must not wait for ever.
        let waiting = |request| Waiting {
            id: RequestId { connection: 1, request },
            expires: raft_core::Moment(0),
            ask: Ask::Read { key: "k".into() },
        };
        let mut reads = Reads::default();
        let (first, second) = (reads.next_id(), reads.next_id());
        reads.begin(first, vec![waiting(1), waiting(2)]);
        reads.begin(second, vec![waiting(3)]);
        reads.confirmed(first, Index(150));
        let mut arrived = Vec::new();
        reads.abort_confirmed(&mut arrived);
        assert_eq!((arrived.len(), reads.len()), (2, 1), "the unconfirmed one is aborted by the core");
        assert_eq!(reads.served_by(Index(200)).count(), 0);
    }
}
