//! One channel's turn: lease, send several at a time, finish, until nothing is due or may be sent.
//!
//! What one call of the store leases, one call finishes; the store is locked only for these, never across a send.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::circuit::{self, Gate};
use super::drain::{DrainReport, Post, with};
use super::packet::{Packet, packets};
use super::{Line, Receipt, SendError, rate, retry, trend};
use crate::store::{AttemptOutcome, Batch, ChannelState, LeaseRequest, Store, StoreError};

/// Longest that one send may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Messages of one channel that are sent at the same time.
const AT_A_TIME: usize = 8;
/// Seconds of a lease: a whole batch of sends that all time out, and a minute.
const LEASE_S: u64 = (LeaseRequest::MOST / AT_A_TIME) as u64 * SEND_TIMEOUT.as_secs() + 60;
/// Most notices that one digest stands for.
const DIGEST_MOST: usize = 1_000;

/// One channel's turn.
pub(super) struct Turn<'a> {
    pub(super) post: &'a Post<'a>,
    pub(super) name: &'a str,
    /// Notices that it may still try.
    pub(super) rows: usize,
    pub(super) until: Instant,
}

/// What is sent between two calls of the store.
struct Load {
    packets: Vec<Packet>,
    state: ChannelState,
    /// How the state was stored.
    before: ChannelState,
}

type Ended = Vec<(i64, AttemptOutcome)>;

impl Turn<'_> {
    pub(super) async fn run(mut self) -> DrainReport {
        let mut report = DrainReport::default();
        let result = match self.post.lines.get(self.name) {
            Some(line) => self.work(line, &mut report).await,
            None => self.give_up(&mut report),
        };
        report.errors.extend(result.err());
        report
    }

    async fn work(&mut self, line: &Line, report: &mut DrainReport) -> Result<(), StoreError> {
        while self.has_budget() {
            let mut load = with(self.post.store, |store| self.load(store, line))?;
            if load.packets.is_empty() {
                return self.hand_over(line, &load.state, report);
            }
            let ended = self.send_all(line, &mut load, report).await;
            self.finish(&ended, Some(&load), report)?;
        }
        Ok(())
    }

    fn has_budget(&self) -> bool {
        self.rows > 0 && Instant::now() < self.until
    }

    /// Leases what may be sent now. A rate leaves the critical their share; what is over it becomes a digest, or waits.
    fn load(&self, store: &mut Store, line: &Line) -> Result<Load, StoreError> {
        let before = store.channel_state(self.name)?;
        let now = self.post.clock.now();
        let limit = match circuit::gate(&before, now) {
            Gate::Open => LeaseRequest::MOST.min(self.rows),
            Gate::Probe => 1,
            Gate::Rests | Gate::Paused => 0,
        };
        let mut state = before.clone();
        let packets = match line.rate {
            _ if limit == 0 => Vec::new(),
            None => self.lease(store, line, limit, false)?.into_iter().filter_map(Packet::of).collect(),
            Some(limited) => {
                let tokens = rate::tokens(state.bucket, limited, now);
                let packets = self.within(store, line, limit, rate::allowance(tokens, limited))?;
                state.bucket = Some((tokens - packets.len() as f64, now));
                packets
            }
        };
        Ok(Load { packets, state, before })
    }

    /// What is critical comes first. Where the receiver understands digests, all that is over the rate becomes one.
    fn within(&self, store: &mut Store, line: &Line, limit: usize, allowed: rate::Allowance) -> Result<Vec<Packet>, StoreError> {
        let mut critical = self.up_to(store, line, limit, allowed.critical, true)?;
        if critical.len() > limit.min(allowed.critical) {
            critical.extend(self.all(store, line, false)?);
            return Ok(packets(critical, allowed.critical));
        }
        let taken = critical.len();
        let rest = self.up_to(store, line, limit.saturating_sub(taken), allowed.ordinary.saturating_sub(taken), false)?;
        let left = allowed.ordinary.saturating_sub(taken);
        Ok(critical.into_iter().filter_map(Packet::of).chain(packets(rest, left)).collect())
    }

    /// As many messages as both allow; all there are where the rate is what bounds them, and a digest can take the rest.
    fn up_to(&self, store: &mut Store, line: &Line, limit: usize, rate: usize, critical: bool) -> Result<Vec<Batch>, StoreError> {
        let gathers = line.traits.digest && 0 < rate && rate < limit;
        if gathers { self.all(store, line, critical) } else { self.lease(store, line, limit.min(rate), critical) }
    }

    /// All that is due, up to what one digest stands for.
    fn all(&self, store: &mut Store, line: &Line, critical: bool) -> Result<Vec<Batch>, StoreError> {
        let mut all: Vec<Batch> = Vec::new();
        while all.iter().map(|batch| batch.rows.len()).sum::<usize>() < DIGEST_MOST {
            let more = self.lease(store, line, LeaseRequest::MOST, critical)?;
            if more.is_empty() {
                break;
            }
            all.extend(more);
        }
        Ok(all)
    }

    fn lease(&self, store: &mut Store, line: &Line, messages: usize, critical: bool) -> Result<Vec<Batch>, StoreError> {
        if messages == 0 {
            return Ok(Vec::new());
        }
        let (channel, owner, now) = (self.name, self.post.owner, self.post.clock.now());
        store.lease_messages(&LeaseRequest { channel, owner, now, messages, most: line.traits.most, ttl_s: LEASE_S, critical })
    }

    /// Sends what was leased, several at a time; what need not be tried any more is given back.
    async fn send_all(&mut self, line: &Line, load: &mut Load, report: &mut DrainReport) -> Ended {
        let mut waiting = std::mem::take(&mut load.packets).into_iter();
        let mut sending = FuturesUnordered::new();
        let mut ended = Ended::new();
        loop {
            while sending.len() < AT_A_TIME && self.has_budget() && self.is_usable(&load.state) {
                let Some(mut packet) = waiting.next() else { break };
                if line.traits.draws {
                    packet.message.trends = with(self.post.store, |store| trend::of(store, &packet.message.notices));
                }
                self.rows = self.rows.saturating_sub(packet.rows.len());
                sending.push(send(line, packet));
            }
            let Some((packet, result)) = sending.next().await else { break };
            self.note(&mut load.state, &result, report);
            ended.extend(self.settle(&packet, &result, line));
        }
        ended.extend(waiting.flat_map(|packet| packet.rows).map(|row| (row.id, AttemptOutcome::Untried)));
        ended
    }

    fn is_usable(&self, state: &ChannelState) -> bool {
        matches!(circuit::gate(state, self.post.clock.now()), Gate::Open | Gate::Probe)
    }

    /// What the answer says of the channel.
    fn note(&self, state: &mut ChannelState, result: &Result<Receipt, SendError>, report: &mut DrainReport) {
        let now = self.post.clock.now();
        let Err(error) = result else { return circuit::taken(state) };
        let shown = retry::told(&error.to_string());
        match error {
            SendError::Retryable { after_s, .. } => circuit::failed(state, &shown, *after_s, now, self.post.seed),
            SendError::Unready { .. } => circuit::failed(state, &shown, None, now, self.post.seed),
            SendError::Auth { .. } => {
                circuit::refused(state, &shown, now);
                report.paused.insert(self.name.into());
            }
            // The receiver lives; it only does not want this notice.
            SendError::Permanent { .. } => {}
        }
        report.failed.insert(self.name.into(), shown);
    }

    fn settle(&self, packet: &Packet, result: &Result<Receipt, SendError>, line: &Line) -> Ended {
        // One seed for all of it, so that what failed together comes again together.
        let seed = self.post.seed ^ packet.rows.first().map_or(0, |row| row.id.unsigned_abs());
        let (now, fallback) = (self.post.clock.now(), self.fallback(line));
        packet.rows.iter().map(|row| (row.id, retry::settle(row, result, fallback, now, seed))).collect()
    }

    fn fallback<'l>(&self, line: &'l Line) -> Option<&'l str> {
        line.fallback.as_deref().filter(|name| self.post.lines.contains_key(*name))
    }

    fn finish(&self, ended: &Ended, load: Option<&Load>, report: &mut DrainReport) -> Result<(), StoreError> {
        let changed = load.filter(|load| load.state != load.before).map(|load| (self.name, &load.state));
        let now = self.post.clock.now();
        let lost = with(self.post.store, |store| store.finish(self.post.owner, ended, changed, now))?;
        report.lost += lost.len();
        for (_, outcome) in ended.iter().filter(|(row, _)| !lost.contains(row)) {
            match outcome {
                AttemptOutcome::Delivered { .. } => report.delivered += 1,
                AttemptOutcome::Retry { .. } => report.retried += 1,
                AttemptOutcome::Dead { fallback, .. } => {
                    report.dead += 1;
                    report.handed += usize::from(fallback.is_some());
                }
                AttemptOutcome::Untried => {}
            }
        }
        Ok(())
    }

    /// Nothing can be sent: when that has lasted, the fallback is told.
    fn hand_over(&self, line: &Line, state: &ChannelState, report: &mut DrainReport) -> Result<(), StoreError> {
        let now = self.post.clock.now();
        let (Some(to), Some(why)) = (self.fallback(line), circuit::hands_over(state, now)) else { return Ok(()) };
        loop {
            let handed = with(self.post.store, |store| store.hand_over(self.name, to, &why, now))?;
            if handed == 0 {
                return Ok(());
            }
            report.handed += handed;
        }
    }

    /// The channel left the config: nobody will ever take what waits for it.
    fn give_up(&mut self, report: &mut DrainReport) -> Result<(), StoreError> {
        let error = format!("channel `{}` is not in the config any more", self.name);
        while self.has_budget() {
            let (channel, owner, now) = (self.name, self.post.owner, self.post.clock.now());
            let ask = LeaseRequest { channel, owner, now, messages: LeaseRequest::MOST, most: 1, ttl_s: LEASE_S, critical: false };
            let batches = with(self.post.store, |store| store.lease_messages(&ask))?;
            if batches.is_empty() {
                break;
            }
            let dead = || AttemptOutcome::Dead { error: error.clone(), fallback: None };
            let ended: Ended = batches.into_iter().flat_map(|batch| batch.rows).map(|row| (row.id, dead())).collect();
            report.failed.insert(self.name.into(), error.clone());
            self.finish(&ended, None, report)?;
        }
        Ok(())
    }
}

async fn send(line: &Line, packet: Packet) -> (Packet, Result<Receipt, SendError>) {
    let sending = tokio::time::timeout(SEND_TIMEOUT, line.channel.send(&packet.message));
    let result = sending.await.unwrap_or_else(|_| Err(SendError::retryable(format!("no answer within {} s", SEND_TIMEOUT.as_secs()))));
    (packet, result)
}
