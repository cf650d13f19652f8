//! Counterexamples of the model checker, each as a test that lets the same happen here: no law is broken by the core as it is,
//! and one is with the seeded bug that the counterexample is about.
//!
//! `plumbline model regress FILE` makes such a test of a counterexample that `plumbline model check` or `model mutants` has
//! saved: put it here, and name it below. Those of the seeded bugs are kept up to date by `models/tests/regressions.rs`.

mod run;

mod ack_before_fsync;
mod ack_beyond_append;
mod act_before_term_durable;
mod append_after_compaction;
mod apply_before_persist;
mod clear_vote_on_step_down;
mod commit_older_term;
mod config_not_rolled_back;
mod count_duplicate_vote;
mod forget_term;
mod forget_vote;
mod heartbeat_commit_unclamped;
mod joint_one_majority;
mod learner_counts;
mod match_regress;
mod no_prev_term_check;
mod quorum_half;
mod read_before_own_commit;
mod read_context_reuse;
mod read_without_quorum;
mod reconfigure_before_own_commit;
mod snapshot_drops_config;
mod stale_ack_aba;
mod stale_vote_response;
mod truncate_on_stale_append;
mod two_pending_changes;
mod two_votes;
mod vote_with_lost_tail;
mod vote_without_log_check;
