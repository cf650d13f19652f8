//! Registers whose values have one writer each: derive what must come before what until nothing new follows.
//!
//! The blocks of one key do not overlap ([`super::blocks`]). So if any call of block *A* must come before any call of block
//! *B*, all of *A* comes before all of *B*. That is added, and what follows from it, until there is a cycle (then there is
//! no order: every edge was forced) or nothing new. What is left undecided is then ordered as it was in real time; that
//! may run into a dead end, and the answer is then *unknown*.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::blocks::{Graph, Made, NONE, Node};
use super::{Answer, Place, Programs, call};
use crate::Specification;
use crate::limits::Budget;
use crate::partition::Partition;

/// The most bits of "which blocks does this node come before": 64 MiB for each of two tables.
const MOST_BITS: usize = 1 << 29;

/// The answer, if these are such registers.
pub(super) fn decide<S: Specification>(
    spec: &S,
    partitions: &[Partition<S::Op>],
    programs: &Programs,
    budget: &Budget,
) -> Option<Answer> {
    let mut graph = match Graph::make(spec, partitions, programs) {
        Made::Graph(graph) => graph,
        Made::Impossible(calls) => return Some(Answer::No(calls)),
        Made::Inapplicable => return None,
    };
    loop {
        let Some(sorted) = sort(&graph) else { return Some(Answer::No(calls(&graph, cycle(&graph)))) };
        if budget.check().is_err() {
            return Some(Answer::Unknown("out of time"));
        }
        if graph.places.len().saturating_mul(graph.blocks.len()) > MOST_BITS {
            break;
        }
        if !saturate(&mut graph, &sorted) {
            break;
        }
    }
    Some(match schedule(&graph, partitions) {
        Some(order) => Answer::Yes(order),
        None => Answer::Unknown("no order was found, and none was excluded"),
    })
}

fn calls(graph: &Graph, nodes: Vec<Node>) -> Vec<Place> {
    nodes.into_iter().filter_map(|node| graph.places.get(node as usize).copied().flatten()).collect()
}

fn successors(graph: &Graph, node: Node) -> &[Node] {
    graph.after.get(node as usize).map_or(&[], Vec::as_slice)
}

/// How many edges lead to each node.
fn degrees(graph: &Graph) -> Vec<u32> {
    let mut degrees = vec![0; graph.places.len()];
    for to in graph.after.iter().flatten() {
        if let Some(degree) = degrees.get_mut(*to as usize) {
            *degree += 1;
        }
    }
    degrees
}

/// The nodes in an order that every edge agrees with; `None` if there is a cycle.
fn sort(graph: &Graph) -> Option<Vec<Node>> {
    let mut degrees = degrees(graph);
    let mut sorted: Vec<Node> =
        (0..).zip(&degrees).filter(|(_, degree)| **degree == 0).map(|(n, _)| n).collect();
    let mut at = 0;
    while let Some(node) = sorted.get(at).copied() {
        at += 1;
        for to in successors(graph, node) {
            if let Some(degree) = degrees.get_mut(*to as usize) {
                *degree -= 1;
                if *degree == 0 {
                    sorted.push(*to);
                }
            }
        }
    }
    (sorted.len() == graph.places.len()).then_some(sorted)
}

/// One of the shortest cycles through some node.
fn cycle(graph: &Graph) -> Vec<Node> {
    let mut before: Vec<Vec<Node>> = vec![Vec::new(); graph.places.len()];
    for (from, after) in (0..).zip(&graph.after) {
        for to in after {
            if let Some(before) = before.get_mut(*to as usize) {
                before.push(from);
            }
        }
    }
    // What cannot be sorted has a predecessor that cannot be sorted: going back among those ends in a cycle.
    let mut degrees = degrees(graph);
    let mut free: Vec<Node> =
        (0..).zip(&degrees).filter(|(_, degree)| **degree == 0).map(|(n, _)| n).collect();
    while let Some(node) = free.pop() {
        for to in successors(graph, node) {
            if let Some(degree) = degrees.get_mut(*to as usize) {
                *degree -= 1;
                if *degree == 0 {
                    free.push(*to);
                }
            }
        }
    }
    let stuck = |node: &Node| degrees.get(*node as usize).is_some_and(|degree| *degree > 0);
    let Some(mut node) = (0..NONE).take(graph.places.len()).find(stuck) else { return Vec::new() };
    for _ in 0..graph.places.len() {
        let back = before.get(node as usize).and_then(|before| before.iter().copied().find(stuck));
        node = back.unwrap_or(node);
    }
    let mut came_from = vec![NONE; graph.places.len()];
    let mut queue = std::collections::VecDeque::from([node]);
    while let Some(from) = queue.pop_front() {
        for to in successors(graph, from) {
            if *to == node {
                let mut cycle = vec![from];
                let mut at = from;
                while at != node {
                    at = came_from.get(at as usize).copied().unwrap_or(node);
                    cycle.push(at);
                }
                cycle.reverse();
                return cycle;
            }
            if let Some(known) = came_from.get_mut(*to as usize).filter(|known| **known == NONE) {
                *known = from;
                queue.push_back(*to);
            }
        }
    }
    Vec::new()
}

/// Rows of bits.
struct Table {
    words: Vec<u64>,
    width: usize,
}

impl Table {
    fn new(rows: usize, columns: usize) -> Self {
        let width = columns.div_ceil(64);
        Self { words: vec![0; rows * width], width }
    }

    fn set(&mut self, row: u32, column: u32) {
        if let Some(word) = self.words.get_mut(row as usize * self.width + column as usize / 64) {
            *word |= 1 << (column % 64);
        }
    }

    fn get(&self, row: u32, column: u32) -> bool {
        let word = self.words.get(row as usize * self.width + column as usize / 64);
        word.is_some_and(|word| word >> (column % 64) & 1 == 1)
    }

    /// Adds the bits of one row to another.
    fn add(&mut self, from: u32, to: u32) {
        let (from, to) = (from as usize * self.width, to as usize * self.width);
        for word in 0..self.width {
            let bits = self.words.get(from + word).copied().unwrap_or(0);
            if let Some(known) = self.words.get_mut(to + word) {
                *known |= bits;
            }
        }
    }
}

/// Adds what follows; says whether anything was new.
fn saturate(graph: &mut Graph, sorted: &[Node]) -> bool {
    let mut reached = Table::new(graph.places.len(), graph.blocks.len());
    let mut begun = Table::new(graph.places.len(), graph.blocks.len());
    for node in sorted.iter().rev().copied() {
        let block = graph.block_of.get(node as usize).copied().unwrap_or(NONE);
        reached.set(node, block);
        if graph.blocks.get(block as usize).is_some_and(|block| block.begin == node) {
            begun.set(node, block);
        }
        for to in successors(graph, node) {
            reached.add(*to, node);
            begun.add(*to, node);
        }
    }
    // By when they begin: then an edge to a block often says all about those after it.
    let begins = |node: &Node| {
        let block = graph.block_of.get(*node as usize).copied()?;
        graph.blocks.get(block as usize).filter(|known| known.begin == *node).map(|known| (block, *known))
    };
    let blocks: Vec<_> = sorted.iter().filter_map(begins).collect();
    let mut new = Vec::new();
    for (number, block) in blocks.iter().rev() {
        for (other, later) in &blocks {
            let same = later.partition == block.partition && other != number;
            if same && reached.get(block.begin, *other) && !begun.get(block.end, *other) {
                new.push((block.end, later.begin));
                begun.add(later.begin, block.end);
            }
        }
    }
    for (from, to) in &new {
        graph.edge(*from, *to);
    }
    !new.is_empty()
}

/// An order that respects all edges and keeps the blocks of a key apart: what was invoked first comes first.
fn schedule<Op>(graph: &Graph, partitions: &[Partition<Op>]) -> Option<Vec<Place>> {
    let mut degrees = degrees(graph);
    // A block begins when its first call would.
    let first = |node: Node| {
        let mut at = node;
        loop {
            if let Some(Some(place)) = graph.places.get(at as usize) {
                return call(partitions, *place).map_or(0, |call| call.invoked);
            }
            match successors(graph, at).first() {
                Some(next) => at = *next,
                None => return u32::MAX,
            }
        }
    };
    let mut ready: BinaryHeap<Reverse<(u32, Node)>> = BinaryHeap::new();
    let mut waiting: Vec<BinaryHeap<Reverse<(u32, Node)>>> = vec![BinaryHeap::new(); partitions.len()];
    let mut busy = vec![false; partitions.len()];
    ready.extend(
        (0..).zip(&degrees).filter(|(_, degree)| **degree == 0).map(|(node, _)| Reverse((first(node), node))),
    );
    let mut order = Vec::new();
    let mut done = 0;
    while let Some(Reverse((when, node))) = ready.pop() {
        let block = *graph.blocks.get(*graph.block_of.get(node as usize)? as usize)?;
        let key = block.partition as usize;
        if node == block.begin && std::mem::replace(busy.get_mut(key)?, true) {
            waiting.get_mut(key)?.push(Reverse((when, node)));
            continue;
        }
        done += 1;
        order.extend(graph.places.get(node as usize).copied().flatten());
        if node == block.end {
            *busy.get_mut(key)? = false;
            ready.extend(waiting.get_mut(key)?.pop());
        }
        for to in successors(graph, node) {
            let degree = degrees.get_mut(*to as usize)?;
            *degree -= 1;
            if *degree == 0 {
                ready.push(Reverse((first(*to), *to)));
            }
        }
    }
    (done == graph.places.len()).then_some(order)
}
