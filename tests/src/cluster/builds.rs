//! Clusters of two builds, as they are while one is rolled out.

use std::path::PathBuf;
use std::time::Duration;

use super::{ClusterOptions, Exit, Node};
use crate::schedule::NodeId;

/// The build that a server starts with, and all that there are. A minority, those of the highest numbers, has the second.
pub(super) fn of(id: NodeId, options: &ClusterOptions) -> (PathBuf, Vec<PathBuf>) {
    let builds: Vec<PathBuf> =
        std::iter::once(&options.server).chain(&options.server_also).cloned().collect();
    let minority = options.nodes.saturating_sub(1) / 2;
    let second = options.server_also.clone().filter(|_| id > options.nodes - minority);
    (second.unwrap_or_else(|| options.server.clone()), builds)
}

impl Node {
    /// The program that runs, or would be started next.
    pub async fn program(&self) -> PathBuf {
        self.process.lock().await.program().to_owned()
    }

    /// The build that it could run instead, if there are two.
    pub async fn other_build(&self) -> Option<PathBuf> {
        let now = self.program().await;
        self.builds.iter().find(|build| **build != now).cloned()
    }

    /// Asks the server to end, and starts it on the same data with this program; says how it ended. A server that had fallen
    /// stays down.
    ///
    /// # Errors
    /// When the process could not be signalled or started.
    pub async fn change_build(&self, to: PathBuf, patience: Duration) -> anyhow::Result<Exit> {
        if self.fallen().await?.is_some() {
            return Ok(Exit::NotRunning);
        }
        let exit = self.end(patience).await?;
        let mut process = self.process.lock().await;
        process.set_program(to);
        process.start()?;
        Ok(exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minority_has_the_second_build_and_without_one_nobody() {
        for (nodes, expected) in [(1, vec![]), (2, vec![]), (3, vec![3]), (5, vec![4, 5])] {
            let mut options = ClusterOptions {
                system: std::sync::Arc::new(crate::system::KvServer),
                server: "first".into(),
                server_also: Some("second".into()),
                nodes,
                folder: PathBuf::new(),
                server_args: Vec::new(),
                direct: false,
                namespaces: false,
                trace: false,
                disks: None,
                clock_shim: None,
            };
            let second = |options: &ClusterOptions| -> Vec<NodeId> {
                (1..=nodes).filter(|id| of(*id, options).0.ends_with("second")).collect()
            };
            assert_eq!(second(&options), expected);
            options.server_also = None;
            assert!(second(&options).is_empty());
        }
    }
}
