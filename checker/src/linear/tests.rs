//! No walk says what is not so, however much it lets go of.

use super::walk::walk;
use super::*;
use crate::generate::{Dice, Plan, Workload, generate};
use crate::limits::Limits;
use crate::partition::split;
use crate::spec::with_specification;
use crate::validate::validate;
use crate::wgl::{Strategy, search};
use crate::{Model, ModelOptions};

const WIDTHS: [Width; 6] =
    [Width::Narrow(1), Width::Narrow(2), Width::Narrow(3), Width::Narrow(16), Width::Relaxed, Width::Full];

fn agree<S: Specification>(spec: &S, history: &crate::History, relaxes: bool, what: &str) -> [u32; 3] {
    let budget = Budget::new(&Limits::default());
    let mut said = [0; 3];
    for partition in split(spec, history).expect("a suitable history") {
        let partition = partition.merged();
        let (kinds, calls) = (&partition.kinds, &partition.calls);
        let known = search(spec, kinds, calls, &budget, Strategy::DepthFirst, false, u64::MAX);
        let legal = matches!(known, Decision::Legal(_));
        for width in WIDTHS.into_iter().filter(|width| *width != Width::Relaxed || relaxes) {
            for foresight in [false, true] {
                let what = format!("{what}, {width:?}, foresight {foresight}");
                match walk(spec, kinds, calls, &budget, foresight, width, u64::MAX) {
                    Decision::Legal(order) => {
                        assert!(legal, "{what}: no order is one");
                        assert_eq!(validate(spec, &partition, &order).map(|_| ()), Ok(()), "{what}");
                        said[0] += 1;
                    }
                    Decision::Illegal(_) => {
                        assert!(!legal, "{what}: there is an order");
                        said[1] += 1;
                    }
                    Decision::Undecided(reason, _) => {
                        assert_eq!(reason, Stopped::Share, "{what}");
                        assert_ne!(width, Width::Full, "{what}");
                        said[2] += 1;
                    }
                }
            }
        }
    }
    said
}

#[test]
fn no_walk_contradicts_wgl() {
    let mut said = [0; 3];
    for seed in 0..1_500 {
        let mut dice = Dice::new(seed);
        let workload = [Workload::Register, Workload::CasRegister, Workload::Counter, Workload::FifoQueue]
            [dice.index(4)];
        let plan = Plan {
            operations: 6 + dice.index(20),
            clients: 2 + dice.index(4),
            values: 2 + dice.below(3),
            unknown: 300,
            ..Plan::new(workload, seed)
        };
        let generated = generate(&plan);
        let broken = if dice.below(2) == 0 { generated.with_fault(seed) } else { None };
        let history = crate::generate::history(&broken.unwrap_or(generated.events));
        let model = Model::new(workload.model(), &ModelOptions::default(), &history).expect("a start");
        let relaxes = matches!(workload, Workload::Register | Workload::CasRegister);
        let what = format!("seed {seed}, {workload}");
        let here = with_specification!(&model, spec => agree(spec, &history, relaxes, &what));
        said.iter_mut().zip(here).for_each(|(all, here)| *all += here);
    }
    // All of them were tried.
    assert!(said.iter().all(|times| *times > 200), "legal, illegal, no answer: {said:?}");
}
