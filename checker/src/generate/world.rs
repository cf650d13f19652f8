//! The clients and their time: who does what next, what is lost, and what lands late.

use std::collections::BTreeMap;

use super::objects::{self, Chosen};
use super::{Dice, Generated, Plan};
use crate::history::{Event, Kind};
use crate::{Text, Value};

/// An operation on its way.
struct Pending {
    operation: u32,
    process: i64,
    f: &'static str,
    key: Option<Value>,
    value: Value,
    /// What it answers, once it took effect.
    answer: Option<(Kind, Value)>,
}

/// Makes a history.
#[must_use]
pub fn generate(plan: &Plan) -> Generated {
    let mut world = World {
        plan,
        dice: Dice::new(plan.seed),
        state: BTreeMap::new(),
        fresh: 0,
        time: 0,
        out: Generated {
            events: Vec::with_capacity(plan.operations * 2),
            points: Vec::new(),
            workload: plan.workload,
        },
        invoked: 0,
        next_process: i64::try_from(plan.clients).unwrap_or(1),
        late: Vec::new(),
    };
    let mut clients: Vec<(i64, Option<Pending>)> =
        (0..world.next_process.max(1)).map(|id| (id, None)).collect();
    loop {
        let busy = clients.iter().any(|(_, pending)| pending.is_some());
        if world.invoked as usize >= plan.operations && !busy {
            return world.out;
        }
        world.land_late();
        let which = world.dice.index(clients.len());
        let Some((process, slot)) = clients.get_mut(which) else { return world.out };
        *slot = match slot.take() {
            None if (world.invoked as usize) < plan.operations => Some(world.invoke(*process)),
            None => None,
            Some(mut pending) => {
                let lost = world.dice.below(1000) < plan.unknown;
                if lost {
                    world.event(&pending, Kind::Info, pending.value.clone());
                    *process = world.next_process;
                    world.next_process += 1;
                    // It may land later, or never, or it has landed already.
                    if pending.answer.is_none() && world.dice.below(3) > 0 {
                        world.late.push(pending);
                    }
                    None
                } else if let Some((kind, value)) = pending.answer.clone() {
                    world.event(&pending, kind, value);
                    None
                } else {
                    world.apply(&mut pending);
                    Some(pending)
                }
            }
        };
    }
}

struct World<'a> {
    plan: &'a Plan,
    dice: Dice,
    state: BTreeMap<Value, Value>,
    fresh: u64,
    time: i64,
    out: Generated,
    invoked: u32,
    next_process: i64,
    /// Operations of unknown outcome that have not taken effect yet.
    late: Vec<Pending>,
}

impl World<'_> {
    fn event(&mut self, pending: &Pending, kind: Kind, value: Value) {
        self.time += 1 + i64::try_from(self.dice.below(1_000_000)).unwrap_or(0);
        let mut event = Event::new(pending.process, kind, pending.f, value).at_time(self.time);
        event.key = pending.key.clone();
        event.f = Text::from(pending.f);
        self.out.events.push(event);
    }

    /// Some lost operation takes effect after all.
    fn land_late(&mut self) {
        if !self.late.is_empty() && self.dice.below(20) == 0 {
            let which = self.dice.index(self.late.len());
            let mut pending = self.late.swap_remove(which);
            self.apply(&mut pending);
        }
    }

    fn invoke(&mut self, process: i64) -> Pending {
        let key = self
            .plan
            .workload
            .has_keys()
            .then(|| Value::string(&format!("k{}", self.dice.below(self.plan.keys as u64))));
        let present = self.state.get(key.as_ref().unwrap_or(&Value::Nil)).cloned().unwrap_or_default();
        let Chosen { f, value } = objects::choose(self.plan, &mut self.dice, &mut self.fresh, &present);
        let pending = Pending { operation: self.invoked, process, f, key, value, answer: None };
        self.invoked += 1;
        self.event(&pending, Kind::Invoke, pending.value.clone());
        pending
    }

    /// The linearization point.
    fn apply(&mut self, pending: &mut Pending) {
        let place = pending.key.clone().unwrap_or_default();
        let present = self.state.get(&place).cloned().unwrap_or_default();
        let Pending { f, process, value, .. } = &*pending;
        let (kind, answer, next) =
            objects::apply(self.plan.workload, &mut self.dice, (f, *process, value), present);
        self.state.insert(place, next);
        if kind == Kind::Ok {
            self.out.points.push(pending.operation);
        }
        pending.answer = Some((kind, answer));
    }
}
