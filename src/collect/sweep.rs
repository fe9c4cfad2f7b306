//! One sweep: connect, find out what the server is, ask what is due, database by database, and say of the rest why not.
//!
//! It never fails. The first session is for what concerns the whole server and its own database, then comes one for each
//! further database, closed before the next is opened, so that the private memory of our backends stays bounded. The first
//! is left to `kept` and the next sweep, and others as far as the budget has room. Each metric is its own transaction: what
//! one runs into is not the others' trouble. After a connection is lost, what was read stays; one that died at rest is
//! replaced at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::time::Instant;

use super::capability::{Capabilities, DatabaseFacts, ExtensionFacts, extensions, met, not_a_server};
use super::cost::Meter;
use super::failure::{ConnectError, Failure};
use super::job::Job;
use super::kept::Kept;
use super::plan::{self, Homes};
use super::session::Session;
use super::{Budget, Databases, Endpoint, disk, target_frame};
use crate::model::action::quote::{ident, literal};
use crate::model::{Frame, Metric, Missing, MissingReason, Reading, Scope, Server, Snapshot, Target};

/// What is to be read, from where, and at which price.
#[derive(Debug, Clone, Copy)]
pub struct SweepRequest<'a> {
    /// Whose snapshot it will be.
    pub target: &'a Target,
    /// How to reach it.
    pub endpoint: &'a Endpoint,
    /// Which of its databases.
    pub databases: &'a Databases,
    /// What to read.
    pub metrics: &'a [Metric],
    /// What it may cost.
    pub budget: &'a Budget,
    /// The last frames by name: one that is not due at `now` is carried over as it is, with its own `as_of`.
    pub carried: &'a BTreeMap<String, Arc<Frame>>,
    /// The tick's time.
    pub now: DateTime<Utc>,
    /// How far apart the ticks are, in seconds.
    pub every_s: u64,
    /// Whether everything is read anew.
    pub all_due: bool,
}

/// Reads a snapshot. A server that cannot be reached yields one whose frames are Missing and whose `target` frame says why.
/// Sessions are taken from `kept` and left there; one sweep has it at a time.
pub async fn sweep(request: &SweepRequest<'_>, kept: &mut Kept) -> Snapshot {
    let mut sweep = Sweep {
        request,
        kept,
        since: Instant::now(),
        meter: Meter::new(request.budget.server_ms_per_sweep),
        frames: BTreeMap::new(),
        lost: None,
    };
    let server = match sweep.run().await {
        Ok(server) => Some(server),
        Err(refusal) => {
            sweep.give_up(&refusal);
            None
        }
    };
    Snapshot {
        form: Snapshot::FORM,
        target: request.target.clone(),
        taken_at: request.now,
        server,
        frames: sweep.frames,
        cost: sweep.meter.cost,
    }
}

struct Sweep<'a> {
    request: &'a SweepRequest<'a>,
    kept: &'a mut Kept,
    since: Instant,
    meter: Meter,
    frames: BTreeMap<String, Reading>,
    /// Why nothing more can be asked, once it is so.
    lost: Option<Missing>,
}

impl<'a> Sweep<'a> {
    async fn run(&mut self) -> Result<Server, ConnectError> {
        let endpoint = self.request.endpoint;
        let session = self.first_session().await?;
        let asked = Capabilities::ask(&session, &mut self.meter, self.request.now, self.since).await;
        let mut found = match asked {
            Ok(found) => found,
            Err(failure) => {
                session.close().await;
                return Err(not_a_server(endpoint, &failure));
            }
        };
        let mut jobs = self.jobs(&found);
        if let Some(missing) = self.hung(&found) {
            self.lost = Some(missing);
        }
        self.ask_own_extensions(&session, &mut found, &jobs).await;
        self.ask_instance(&session, &found, &mut jobs).await;
        let disk = match &self.lost {
            None => disk::read(&session, &mut self.meter, &found, self.request.now).await,
            Some(missing) => Reading::Missing(missing.clone()),
        };
        self.frames.insert("disk".into(), disk);
        self.visit(session, &found, &mut jobs).await;
        let epoch = found.epoch();
        for job in jobs {
            self.frames.insert(job.metric.frame.name.clone(), job.finish(&epoch));
        }
        let lost = self.lost.as_ref().map(|missing| missing.detail.as_str());
        self.frames.insert("target".into(), target_frame::reachable(self.request.now, &found, lost));
        Ok(found.server)
    }

    /// Each sweep logs in, since a server that lets nobody in is down for everybody else, whatever an old session still
    /// hears. Once in, the session of the last sweep is preferred where it answers.
    async fn first_session(&mut self) -> Result<Session, ConnectError> {
        let SweepRequest { endpoint, budget, .. } = self.request;
        self.kept.make_room(budget.connections.saturating_sub(1)).await;
        let new = Session::open(endpoint, endpoint.database(), budget, &mut self.meter).await?;
        let (used, spare) = match self.kept.take(endpoint.database(), budget, &mut self.meter).await {
            None => return Ok(new),
            Some(kept) if kept.address == new.address => (kept, new),
            // The server that answers first has changed.
            Some(kept) => (new, kept),
        };
        spare.close().await;
        Ok(used)
    }

    /// A session for another database; the first one stays open beside it.
    async fn further_session(&mut self, database: &str) -> Result<Session, ConnectError> {
        let SweepRequest { endpoint, budget, .. } = self.request;
        if let Some(kept) = self.kept.take(database, budget, &mut self.meter).await {
            return Ok(kept);
        }
        self.kept.make_room(budget.connections.saturating_sub(2)).await;
        Session::open(endpoint, database, budget, &mut self.meter).await
    }

    /// Leaves a session of another database to the next sweep while the budget has room beside the first one and one for
    /// going through the rest. A home, which every tick needs, takes the place of another.
    async fn leave(&mut self, session: Session, found: &Capabilities, is_home: bool) {
        let room = self.request.budget.connections.saturating_sub(2);
        if is_home {
            self.kept.make_room(room.saturating_sub(1)).await;
        }
        if self.kept.len() < room {
            self.rest(session, found).await;
        } else {
            session.close().await;
        }
    }

    /// Puts a session to rest, unless something did not answer in time: its last transaction may still be running. Where one
    /// connection is all, the next login needs it.
    async fn rest(&mut self, session: Session, found: &Capabilities) {
        if self.lost.is_none() && self.request.budget.connections > 1 {
            self.kept.rest(session, found, &mut self.meter).await;
        } else {
            session.close().await;
        }
    }

    /// There was no session.
    fn give_up(&mut self, refusal: &ConnectError) {
        for metric in self.request.metrics {
            self.frames.insert(metric.frame.name.clone(), Reading::Missing(refusal.to_missing()));
        }
        self.frames.insert("disk".into(), Reading::Missing(refusal.to_missing()));
        self.frames.insert("target".into(), target_frame::unreachable(self.request.now, refusal));
    }

    /// What is due and can run, in the order of asking. What is not due is carried over, what cannot run says why.
    fn jobs(&mut self, found: &Capabilities) -> Vec<Job<'a>> {
        let mut jobs = Vec::new();
        let waiting = plan::waiting(self.request.metrics, self.request.carried, self.request.now, self.request.every_s);
        for metric in plan::ordered(self.request.metrics) {
            let name = &metric.frame.name;
            let last = self.request.carried.get(name);
            match (last, found.judge(metric)) {
                (_, Err(missing)) => {
                    self.frames.insert(name.clone(), Reading::Missing(missing));
                }
                (Some(last), Ok(())) if !self.request.all_due && self.may_wait(metric, last, &waiting) => {
                    self.frames.insert(name.clone(), Reading::Collected(last.clone()));
                }
                _ => jobs.push(Job::new(metric, last)),
            }
        }
        jobs
    }

    fn may_wait(&self, metric: &Metric, last: &Arc<Frame>, waiting: &BTreeSet<&str>) -> bool {
        waiting.contains(metric.frame.name.as_str()) || !plan::is_due(metric, Some(last), self.request.now)
    }

    /// Sessions of ours that never ended mean that sweeps hang there; one more would make it worse.
    fn hung(&self, found: &Capabilities) -> Option<Missing> {
        let allowed = self.request.budget.connections.max(1);
        (found.hung_sessions >= allowed).then(|| {
            let detail = format!("{} sessions of pgsteward hang on the server, {allowed} are allowed", found.hung_sessions);
            let own = format!("usename = {} AND application_name LIKE 'pgsteward%'", literal(&found.role.name));
            let old = "xact_start < now() - interval '1 minute'";
            Missing::new(MissingReason::Budget, detail)
                .with_remedy(format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {own} AND {old};"))
        })
    }

    async fn ask_own_extensions(&mut self, session: &Session, found: &mut Capabilities, jobs: &[Job<'_>]) {
        if self.lost.is_some() || jobs.iter().all(|job| job.metric.needs.is_empty()) {
            return;
        }
        let installed = match extensions(session, &mut self.meter).await {
            Ok(installed) => Some(installed),
            Err(failure) => {
                self.note(&failure);
                None
            }
        };
        let own = found.database.clone();
        match found.databases.iter_mut().find(|database| database.name == own) {
            Some(database) => database.extensions = installed,
            // A template can be connected to, too.
            None => found.databases.push(DatabaseFacts { name: own, closed: Some("it is a template".into()), extensions: installed }),
        }
    }

    async fn ask_instance(&mut self, session: &Session, found: &Capabilities, jobs: &mut [Job<'a>]) {
        let own = found.databases.iter().find(|database| database.name == found.database);
        let installed = own.and_then(|database| database.extensions.as_deref());
        for job in jobs.iter_mut().filter(|job| job.metric.scope == Scope::Instance) {
            self.ask_with(session, found, job, None, installed).await;
        }
    }

    /// Asks for one metric where its extension is installed.
    async fn ask_with(
        &mut self,
        session: &Session,
        found: &Capabilities,
        job: &mut Job<'a>,
        database: Option<&str>,
        installed: Option<&[ExtensionFacts]>,
    ) {
        if let Some(missing) = self.lost.clone().or_else(|| self.meter.refusal()) {
            return job.refuse(database, missing);
        }
        let extension = match installed {
            _ if job.metric.needs.is_empty() => Ok(None),
            Some(installed) => met(job.metric, installed, &found.role.name),
            None => Err(Missing::new(MissingReason::ServerError, "the extensions of the database could not be read")),
        };
        match extension {
            Ok(extension) => self.ask(session, found, job, database, extension).await,
            Err(missing) => job.refuse(database, missing),
        }
    }

    async fn ask(
        &mut self,
        session: &Session,
        found: &Capabilities,
        job: &mut Job<'a>,
        database: Option<&str>,
        extension: Option<&ExtensionFacts>,
    ) {
        let metric = job.metric;
        let sql = metric.sql_for(found.server.version_num).unwrap_or_default();
        let sql = extension.map_or_else(|| sql.to_string(), |e| sql.replace("{extension_schema}", &ident(&e.schema)));
        let asked_at = self.time();
        let mut answer = job.answer(database);
        match session.ask(&mut self.meter, &sql, metric.timeout_ms, &mut |row| answer.take(row)).await {
            Ok(()) => answer.done(asked_at),
            Err(failure) => {
                let timeout_ms = session.statement_timeout(metric.timeout_ms);
                answer.broke_off(failure.to_missing(metric, timeout_ms, found));
                self.note(&failure);
            }
        }
    }

    /// The host's time now, from the tick's time on.
    fn time(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.since.elapsed()).unwrap_or_default();
        (self.request.now + elapsed).trunc_subsecs(3)
    }

    fn note(&mut self, failure: &Failure) {
        if let Failure::Lost(why) = failure {
            self.lost = Some(Missing::new(MissingReason::Unreachable, format!("the connection was lost: {why}")));
        }
    }

    /// Goes through the databases: first the one that the session is in, then the others, each with a session of its own.
    async fn visit(&mut self, session: Session, found: &Capabilities, jobs: &mut [Job<'a>]) {
        let mut first = Some(session);
        let (own, others): (Vec<_>, Vec<_>) = found.databases.iter().partition(|database| database.name == found.database);
        let mut visited = 0;
        for (database, session) in own.into_iter().zip(&first) {
            let here = self.jobs_here(database, jobs, found);
            if database.closed.is_none() && !here.is_empty() {
                visited += 1;
                self.ask_database(session, found, database, jobs, &here).await;
            }
        }
        for database in others {
            let here = self.jobs_here(database, jobs, found);
            if here.is_empty() {
                continue;
            }
            // With one connection allowed, the first makes room for the others.
            if self.request.budget.connections <= 1
                && let Some(session) = first.take()
            {
                session.close().await;
            }
            match self.enter(database, &mut visited).await {
                Ok(session) => {
                    self.ask_database(&session, found, database, jobs, &here).await;
                    let is_home = here.iter().filter_map(|at| jobs.get(*at)).any(|job| job.metric.scope == Scope::Instance);
                    let is_lost = session.is_lost();
                    self.leave(session, found, is_home).await;
                    // The next database may still be reached: an operator may have ended this one session.
                    self.lost = self.lost.take().filter(|_| !is_lost);
                }
                Err(missing) => refuse_all(jobs, &here, &database.name, &missing),
            }
        }
        if let Some(session) = first {
            self.rest(session, found).await;
        }
        self.refuse_unknown(found, jobs);
    }

    /// Opens a session in a database, unless that is known to be vain or too much.
    async fn enter(&mut self, database: &DatabaseFacts, visited: &mut usize) -> Result<Session, Missing> {
        if let Some(why) = &database.closed {
            return Err(Missing::new(MissingReason::NoGrant, why.clone()));
        }
        if let Some(missing) = self.lost.clone().or_else(|| self.meter.refusal()) {
            return Err(missing);
        }
        let allowed = self.request.budget.max_databases;
        if *visited >= allowed {
            return Err(Missing::new(MissingReason::Budget, format!("only {allowed} databases are entered in one sweep"))
                .with_remedy("raise budget.max_databases"));
        }
        *visited += 1;
        self.further_session(&database.name).await.map_err(|refusal| {
            let missing = refusal.to_missing();
            if !refusal.answered {
                self.lost = Some(missing.clone());
            }
            missing
        })
    }

    /// The jobs that something is to be asked for in this database, by their place in the list.
    fn jobs_here(&self, database: &DatabaseFacts, jobs: &mut [Job<'a>], found: &Capabilities) -> Vec<usize> {
        let chosen = self.request.databases.include(&database.name);
        let mut here = Vec::new();
        for (at, job) in jobs.iter_mut().enumerate() {
            match &job.metric.scope {
                Scope::EachDatabase if chosen => here.push(at),
                Scope::EachDatabase => {
                    job.refuse(Some(&database.name), Missing::new(MissingReason::NotCollected, "the configuration leaves it out"));
                }
                Scope::Databases(names) if names.contains(&database.name) => here.push(at),
                Scope::Instance if chosen && database.name != found.database && self.may_live_in(job, database) => here.push(at),
                Scope::Databases(_) | Scope::Instance => {}
            }
        }
        here
    }

    /// Whether a metric of the whole server that has not been answered may find its extension in a database.
    fn may_live_in(&self, job: &Job<'_>, database: &DatabaseFacts) -> bool {
        if job.is_answered() || job.metric.needs.is_empty() || database.closed.is_some() {
            return false;
        }
        match plan::homes(job.metric, self.request.carried) {
            Homes::In(names) if !self.request.all_due => names.contains(&database.name),
            _ => true,
        }
    }

    async fn ask_database(
        &mut self,
        session: &Session,
        found: &Capabilities,
        database: &DatabaseFacts,
        jobs: &mut [Job<'a>],
        here: &[usize],
    ) {
        let mut installed = database.extensions.clone();
        for at in here {
            let Some(job) = jobs.get_mut(*at) else { continue };
            if installed.is_none() && !job.metric.needs.is_empty() && self.lost.is_none() {
                match extensions(session, &mut self.meter).await {
                    Ok(list) => installed = Some(list),
                    Err(failure) => self.note(&failure),
                }
            }
            let name = (job.metric.scope != Scope::Instance).then_some(database.name.as_str());
            self.ask_with(session, found, job, name, installed.as_deref()).await;
        }
    }

    /// Databases that the configuration or a metric names and the server does not have.
    fn refuse_unknown(&self, found: &Capabilities, jobs: &mut [Job<'a>]) {
        let unknown = |name: &&String| !found.databases.iter().any(|database| database.name == **name);
        for job in jobs {
            let named: &[String] = match (&job.metric.scope, self.request.databases) {
                (Scope::Databases(names), _) | (Scope::EachDatabase, Databases::Only(names)) => names,
                _ => &[],
            };
            for name in named.iter().filter(unknown) {
                job.refuse(Some(name), Missing::new(MissingReason::NotCollected, "the server has no such database"));
            }
        }
    }
}

fn refuse_all(jobs: &mut [Job<'_>], here: &[usize], database: &str, missing: &Missing) {
    for at in here {
        if let Some(job) = jobs.get_mut(*at) {
            let name = (job.metric.scope != Scope::Instance).then_some(database);
            job.refuse(name, missing.clone());
        }
    }
}
