//! The requests of an experiment: drawn from its seed, the same whatever the servers do.

use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Experiment, Load};

/// The stream of the seed that requests are drawn from; [`crate::schedule`] and [`crate::generator`] have others.
const STREAM: u64 = 2;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The value of a key.
    Get,
    /// To put this value, which is put nowhere else.
    Put(i64),
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// When it is due, counted from the start of the experiment.
    pub(super) due: Duration,
    /// Who asks.
    pub(super) client: u64,
    pub(super) key: u64,
    pub(super) ask: Ask,
    /// Whether it is a get before there was anything to get.
    pub(super) premature: bool,
}

/// All requests, in the order in which they are due. A get asks for a key that an earlier request puts; while there is none, for
/// one that nobody has put. The clients of a closed loop take turns, and are not told when.
pub(super) fn plan(experiment: &Experiment) -> Vec<Request> {
    let mut rng = ChaCha8Rng::seed_from_u64(experiment.seed);
    rng.set_stream(STREAM);
    let mut known: Vec<u64> = Vec::new();
    let one = |number: u64| {
        let reads = rng.random_range(0..100) < experiment.read_share;
        let any = rng.random_range(0..experiment.keys.max(1));
        let client = rng.random_range(0..experiment.clients.max(1));
        let key = if reads { known.choose(&mut rng).copied().unwrap_or(any) } else { any };
        let premature = reads && known.is_empty();
        if !reads && !known.contains(&key) {
            known.push(key);
        }
        let ask = if reads { Ask::Get } else { Ask::Put(i64::try_from(number + 1).unwrap_or(i64::MAX)) };
        let spacing =
            u32::try_from(number).map_or(Duration::MAX, |number| experiment.spacing.saturating_mul(number));
        let (due, client) = match experiment.load {
            Load::Spaced => (experiment.first_request.saturating_add(spacing), client),
            Load::Closed => (experiment.first_request, number % experiment.clients.max(1)),
        };
        Request { due, client, key, ask, premature }
    };
    (0..experiment.requests).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_seed_s_spaced_and_shared_out() {
        let experiment = Experiment::seed_1("s".into(), 7);
        let requests = plan(&experiment);
        assert_eq!(requests, plan(&experiment));
        assert_ne!(requests, plan(&Experiment::seed_1("s".into(), 8)));
        assert_eq!(requests.len(), 500);
        assert_eq!(requests[499].due, Duration::from_millis(5_000 + 499 * 46));
        let gets = requests.iter().filter(|request| request.ask == Ask::Get).count();
        assert!((370..430).contains(&gets), "{gets} gets");
        assert!((0..8).all(|client| requests.iter().any(|request| request.client == client)));
        let few = requests.iter().filter(|request| request.premature).count();
        assert!(few < 40, "{few} gets before any put");
    }

    #[test]
    fn a_get_asks_for_what_was_put_unless_nothing_was() {
        let requests = plan(&Experiment::seed_1("s".into(), 3));
        let mut put: Vec<u64> = Vec::new();
        for request in requests {
            match request.ask {
                Ask::Put(_) => put.push(request.key),
                Ask::Get => assert_eq!(request.premature, put.is_empty() && !put.contains(&request.key)),
            }
            assert!(request.premature || put.contains(&request.key));
        }
    }
}
