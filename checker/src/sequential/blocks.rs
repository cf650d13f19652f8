//! Registers whose values have one writer each, as blocks: a plain write, all who saw its value, perhaps the compare-and-set
//! that replaced it, all who saw *that* value, and so on. In any legal order the calls of a block stay together (see
//! `registers`), so what is left to find is an order of the blocks of each key.

use rustc_hash::FxHashMap;

use super::{Place, Programs, call};
use crate::partition::Partition;
use crate::{Access, Specification, Value};

/// No block, no call.
pub(super) const NONE: u32 = u32::MAX;

/// A node of the graph: a call, or the beginning or end of a block.
pub(super) type Node = u32;

/// One block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// The node before all its calls.
    pub(super) begin: Node,
    /// The node after all its calls.
    pub(super) end: Node,
    /// Its key, as a partition.
    pub(super) partition: u32,
}

/// What must come before what.
pub(super) struct Graph {
    /// The call of each node; `None` for beginnings and ends.
    pub(super) places: Vec<Option<Place>>,
    /// The block of each node.
    pub(super) block_of: Vec<u32>,
    /// Those of one key side by side.
    pub(super) blocks: Vec<Block>,
    pub(super) after: Vec<Vec<Node>>,
}

/// What came of the attempt.
pub(super) enum Made {
    Graph(Graph),
    /// A value that nobody wrote, or that was replaced twice: those calls.
    Impossible(Vec<Place>),
    /// Not such registers.
    Inapplicable,
}

impl Graph {
    pub(super) fn make<S: Specification>(
        spec: &S,
        partitions: &[Partition<S::Op>],
        programs: &Programs,
    ) -> Made {
        let mut graph =
            Self { places: Vec::new(), block_of: Vec::new(), blocks: Vec::new(), after: Vec::new() };
        let mut nodes: FxHashMap<Place, Node> = FxHashMap::default();
        for (which, partition) in (0..).zip(partitions) {
            let accesses: Option<Vec<_>> = partition.kinds.iter().map(|op| spec.access(op)).collect();
            let (Some(accesses), Some(initial)) = (accesses, spec.initial_value()) else {
                return Made::Inapplicable;
            };
            let mut key = Key { partitions, which, accesses, initial, graph: &mut graph, nodes: &mut nodes };
            match key.add() {
                Ok(()) => {}
                Err(made) => return made,
            }
        }
        for program in &programs.programs {
            let here: Vec<Node> = program.iter().filter_map(|place| nodes.get(place).copied()).collect();
            for pair in here.windows(2) {
                if let [before, after] = pair {
                    graph.edge(*before, *after);
                }
            }
        }
        Made::Graph(graph)
    }

    pub(super) fn edge(&mut self, from: Node, to: Node) {
        if let Some(after) = self.after.get_mut(from as usize) {
            after.push(to);
        }
    }

    fn node(&mut self, place: Option<Place>, block: u32) -> Node {
        // Fits: there are fewer than three nodes per call, and calls are bounded by memory long before.
        let node = u32::try_from(self.places.len()).unwrap_or(NONE);
        self.places.push(place);
        self.block_of.push(block);
        self.after.push(Vec::new());
        node
    }
}

/// The writer of the initial value.
const INITIAL: u32 = NONE;
/// More than one writer.
const AMBIGUOUS: u32 = NONE - 1;

/// One key while its blocks are made.
struct Key<'a, Op> {
    partitions: &'a [Partition<Op>],
    which: u32,
    accesses: Vec<Access<'a>>,
    initial: &'a Value,
    graph: &'a mut Graph,
    nodes: &'a mut FxHashMap<Place, Node>,
}

impl<'a, Op> Key<'a, Op> {
    fn access(&self, at: u32) -> Option<Access<'a>> {
        let kind = call(self.partitions, (self.which, at))?.kind;
        match self.accesses.get(kind as usize)? {
            Access::Cas(from, to) if from == to => Some(Access::Read(from)),
            access => Some(*access),
        }
    }

    fn add(&mut self) -> Result<(), Made> {
        let calls = self.partitions.get(self.which as usize).map_or(&[][..], |partition| &partition.calls);
        let mut writers: FxHashMap<&Value, u32> = FxHashMap::from_iter([(self.initial, INITIAL)]);
        for at in 0..u32::try_from(calls.len()).unwrap_or(0) {
            if let Some(Access::Write(value) | Access::Cas(_, value)) = self.access(at) {
                writers.entry(value).and_modify(|writer| *writer = AMBIGUOUS).or_insert(at);
            }
        }
        // Those that happened, and those that must have, since someone saw what they wrote.
        let mut work: Vec<u32> =
            (0..).zip(calls).filter(|(_, call)| call.required()).map(|(at, _)| at).collect();
        let mut needed: FxHashMap<u32, ()> = FxHashMap::default();
        let mut heads = vec![INITIAL];
        let mut readers: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        let mut leaving: FxHashMap<u32, u32> = FxHashMap::default();
        let which = self.which;
        let place = |at: u32| (which, at);
        while let Some(at) = work.pop() {
            let seen = match self.access(at) {
                Some(Access::Read(seen) | Access::Cas(seen, _)) => seen,
                Some(Access::Write(_)) => {
                    heads.push(at);
                    continue;
                }
                Some(Access::Differs(_)) | None => return Err(Made::Inapplicable),
            };
            let Some(writer) = writers.get(seen).copied() else {
                return Err(Made::Impossible(vec![place(at)]));
            };
            if writer == AMBIGUOUS {
                return Err(Made::Inapplicable);
            }
            let optional = writer != INITIAL && calls.get(writer as usize).is_some_and(|call| call.optional);
            if optional && needed.insert(writer, ()).is_none() {
                work.push(writer);
            }
            if let Some(Access::Cas(..)) = self.access(at) {
                if let Some(other) = leaving.insert(writer, at) {
                    return Err(Made::Impossible(vec![place(other), place(at)]));
                }
            } else {
                readers.entry(writer).or_default().push(at);
            }
        }
        let first = self.graph.blocks.len();
        for head in heads {
            self.block(head, &readers, &mut leaving);
        }
        // Nothing comes before the initial value.
        let (initial, others) = match self.graph.blocks.get(first..) {
            Some([initial, others @ ..]) => (*initial, others.to_vec()),
            _ => return Ok(()),
        };
        for other in others {
            self.graph.edge(initial.end, other.begin);
        }
        match leaving.values().next() {
            // A ring of compare-and-sets that nobody entered.
            Some(_) => Err(Made::Impossible(leaving.values().map(|at| place(*at)).collect())),
            None => Ok(()),
        }
    }

    fn block(&mut self, head: u32, readers: &FxHashMap<u32, Vec<u32>>, leaving: &mut FxHashMap<u32, u32>) {
        let number = u32::try_from(self.graph.blocks.len()).unwrap_or(NONE);
        let begin = self.graph.node(None, number);
        let mut frontier = vec![begin];
        let mut writer = head;
        loop {
            if writer != INITIAL {
                frontier = vec![self.call(writer, number, &frontier)];
            }
            let all: Vec<Node> = readers
                .get(&writer)
                .into_iter()
                .flatten()
                .map(|reader| self.call(*reader, number, &frontier))
                .collect();
            if !all.is_empty() {
                frontier = all;
            }
            match leaving.remove(&writer) {
                Some(next) => writer = next,
                None => break,
            }
        }
        let end = self.graph.node(None, number);
        for node in frontier {
            self.graph.edge(node, end);
        }
        self.graph.blocks.push(Block { begin, end, partition: self.which });
    }

    fn call(&mut self, at: u32, block: u32, after: &[Node]) -> Node {
        let node = self.graph.node(Some((self.which, at)), block);
        self.nodes.insert((self.which, at), node);
        for before in after {
            self.graph.edge(*before, node);
        }
        node
    }
}
