//! The event loop around a [`redrill_node::Node`], generic over the network, the clock and the
//! disk. The same code runs on a simulated network and on real TCP.
//!
//! One call of [`serve`] is one process: it loads the state file, listens and turns the loop until
//! it is stopped. There is no rule of the cluster protocol here, only input and output in the
//! order in which Redis's event loop has them.

mod clock;
mod control;
mod data;
mod disk;
mod event_loop;
mod files;
mod master;
mod memory_files;
mod network;
mod observer;
mod pipe;
mod ready;
mod tokio_net;

pub use clock::Clock;
pub use control::{Control, QueuedBytes};
pub use data::LoadError;
pub use disk::{Disk, Replace};
pub use event_loop::{Ended, ServeError, Server, serve};
pub use files::{DataFile, Files, HostFiles, Open};
pub use memory_files::MemoryFiles;
pub use network::{Accepted, Listener, Network, Stream};
pub use observer::{NoObserver, Observer};
pub use tokio_net::{BindAddress, FileDisk, TokioClock, TokioListener, TokioNetwork, os_words};
