//! Clusters of replicas stepped by hand: no clock, no socket, no disk.

mod cluster;
mod exactly_once;
mod requests;
mod snapshots;
mod watches;
