//! What the node asks the disk for, and what comes of it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use redrill_node::{AppendSync, CommandLine, FromDisk, Input, LogLevel, Rewrite, Save};

use super::descriptors::{Kind, Work, WorkDone};
use super::{EventLoop, ServeError, Stop};
use crate::clock::Clock;
use crate::data::{RewriteDone, SaveDone, Written};
use crate::disk::Disk;
use crate::files::{DataFile, reason};
use crate::network::Network;
use crate::observer::Observer;
use crate::ready::Token;

/// The append-only file.
impl<N: Network, C: Clock, D: Disk, O: Observer> EventLoop<N, C, D, O> {
    /// Writes commands, and syncs them as the node asks. What was queued before may leave before.
    pub(super) async fn append(
        &mut self,
        commands: &[CommandLine],
        sync: AppendSync,
    ) -> Result<(), Stop> {
        let now_s = self.clock.now().mono.0 / 1_000_000;
        let written = self.data.append(commands, now_s);
        self.tell_lines();
        match written {
            Written::Failed(error) if sync == AppendSync::Wait => {
                self.warn(
                    "Can't recover from AOF write error when the AOF fsync policy is 'always'. \
                     Exiting...",
                );
                return Err(ServeError::Append(error).into());
            }
            Written::Failed(error) => {
                let reason = reason(&error).into();
                self.answer(FromDisk::AppendFailed(reason));
                return Ok(());
            }
            Written::Whole { recovered } => {
                if recovered {
                    self.answer(FromDisk::AppendRecovered);
                }
            }
        }
        match sync {
            AppendSync::No => Ok(()),
            AppendSync::Wait => self.sync_now().await,
            AppendSync::Beside => {
                match self.data.lend_log() {
                    Some(mut file) => {
                        let work = self.disk.beside(move || file.sync());
                        self.work_beside(Box::pin(async { work.await.map(WorkDone::Synced) }));
                    }
                    None => self.answer(FromDisk::AppendSynced(Ok(()))),
                }
                Ok(())
            }
        }
    }

    async fn sync_now(&mut self) -> Result<(), Stop> {
        let Some(file) = self.data.lend_log() else {
            return Ok(());
        };
        if let Err(error) = self.sync(file).await? {
            let reason = reason(&error);
            self.warn(&format!(
                "Can't persist AOF for fsync error when the AOF fsync policy is 'always': \
                 {reason}. Exiting..."
            ));
            return Err(ServeError::Append(error).into());
        }
        Ok(())
    }

    /// Syncs a file while the loop stands still.
    async fn sync(&mut self, mut file: Box<dyn DataFile>) -> Result<std::io::Result<()>, Stop> {
        let work = self.disk.wait_for(move || file.sync());
        self.control.wait_for(work).await.ok_or(Stop::Killed)
    }

    pub(super) async fn stop_appending(&mut self) -> Result<(), Stop> {
        let Some(file) = self.data.stop_appending() else {
            return Ok(());
        };
        if let Err(error) = self.sync(file).await? {
            let reason = reason(&error);
            self.warn(&format!("Fail to fsync the AOF file: {reason}"));
        }
        self.tell_lines();
        Ok(())
    }

    pub(super) fn rewrite(&mut self, rewrite: Rewrite) {
        self.configure();
        let began = self.data.begin_rewrite(rewrite, self.unix_s());
        self.tell_lines();
        match began {
            Err(reason) => self.answer(FromDisk::RewriteBegan(Err(reason))),
            Ok((job, old)) => {
                self.answer(FromDisk::RewriteBegan(Ok(())));
                if let Some(mut old) = old {
                    let sync = self.disk.beside(move || old.sync());
                    self.work_beside(Box::pin(async { sync.await.map(|_| WorkDone::Closed) }));
                }
                let work = self.disk.beside(move || job.run());
                self.work_beside(Box::pin(async { work.await.map(WorkDone::Rewritten) }));
            }
        }
    }

    fn rewritten(&mut self, done: RewriteDone) -> Option<FromDisk> {
        let result = self.data.finish_rewrite(done);
        self.tell_lines();
        result.map(FromDisk::Rewritten)
    }
}

/// Snapshots.
impl<N: Network, C: Clock, D: Disk, O: Observer> EventLoop<N, C, D, O> {
    pub(super) async fn save(&mut self, save: Save) -> Result<(), Stop> {
        self.configure();
        let beside = save.beside;
        let job = self.data.prepare_save(save, self.unix_s());
        self.tell_lines();
        if beside {
            let work = self.disk.beside(move || job.run());
            self.work_beside(Box::pin(async { work.await.map(WorkDone::Saved) }));
            return Ok(());
        }
        let work = self.disk.wait_for(move || job.run());
        let done = self.control.wait_for(work).await.ok_or(Stop::Killed)?;
        let event = self.saved(done);
        if let Some(event) = event {
            self.answer(event);
        }
        Ok(())
    }

    fn saved(&mut self, done: SaveDone) -> Option<FromDisk> {
        let SaveDone { lines, result, .. } = self.data.finish_save(done)?;
        self.data.lines.extend(lines);
        self.tell_lines();
        Some(FromDisk::Saved(result))
    }
}

/// Work beside the loop.
impl<N: Network, C: Clock, D: Disk, O: Observer> EventLoop<N, C, D, O> {
    fn work_beside(&mut self, work: Work) {
        self.descriptors.add(|_| Kind::Work(work));
    }

    /// Looks whether work beside the loop is done.
    pub(super) async fn work(&mut self, token: Token) -> Result<(), Stop> {
        let Some(descriptor) = self.descriptors.get_mut(token) else {
            return Ok(());
        };
        let Kind::Work(work) = &mut descriptor.kind else {
            return Ok(());
        };
        let waker = Waker::from(Arc::clone(&descriptor.readiness));
        let done = match work.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => done,
            Poll::Pending => return Ok(()),
        };
        self.close(token);
        let event = match done {
            Some(WorkDone::Synced(result)) => {
                let result = result.map_err(|error| reason(&error).into());
                Some(FromDisk::AppendSynced(result))
            }
            Some(WorkDone::Rewritten(done)) => self.rewritten(done),
            Some(WorkDone::Saved(done)) => self.saved(done),
            Some(WorkDone::Closed) | None => None,
        };
        match event {
            Some(event) => self.input(Input::Disk(event)).await,
            None => Ok(()),
        }
    }

    /// Tells the node once its actions are carried out.
    fn answer(&mut self, event: FromDisk) {
        self.answers.push_back(Input::Disk(event));
    }

    /// Takes over what `CONFIG SET` may have changed.
    fn configure(&mut self) {
        let data = &mut self.data;
        self.control.with_node(|node| data.configure(node.config()));
    }

    fn unix_s(&self) -> i64 {
        self.clock.now().wall.0.div_euclid(1000)
    }

    fn warn(&self, line: &str) {
        self.observer.log(self.clock.now(), LogLevel::Warning, line);
    }

    fn tell_lines(&mut self) {
        for (level, line) in self.data.lines.drain(..) {
            self.observer.log(self.clock.now(), level, &line);
        }
    }
}
