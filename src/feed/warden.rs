//! Makes actors again that died of a panic, which actix's own supervisor does not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};

use super::slot::lock;

/// How often the warden looks, and so the shortest time between two lives of an actor.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a child is made, and whether it is needed.
pub trait Ward: Send + 'static {
    /// What it is.
    type Child: Actor;
    /// Starts it.
    fn make(&self) -> Addr<Self::Child>;
    /// True when it ended as it should.
    fn is_done(&self) -> bool;
    /// It was made again.
    fn revived(&self) {}
}

/// A child's address, which changes when it is made again.
pub struct Current<A: Actor>(Arc<Mutex<Addr<A>>>);

impl<A: Actor> Clone for Current<A> {
    fn clone(&self) -> Current<A> {
        Current(self.0.clone())
    }
}

impl<A: Actor> Current<A> {
    /// Sends `message` and waits until it was handled. False if the actor is gone.
    pub async fn tell<M>(&self, message: M) -> bool
    where
        M: Message<Result = ()> + Send + 'static,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let addr = lock(&self.0).clone();
        addr.send(message).await.is_ok()
    }
}

/// A child under a warden's eyes, started.
pub struct Held<W: Ward> {
    ward: W,
    current: Current<W::Child>,
}

impl<W: Ward> Held<W> {
    /// Starts the child of `ward`.
    #[must_use]
    pub fn start(ward: W) -> Held<W> {
        let current = Current(Arc::new(Mutex::new(ward.make())));
        Held { ward, current }
    }

    /// Its address.
    #[must_use]
    pub fn current(&self) -> Current<W::Child> {
        self.current.clone()
    }
}

/// See the module.
pub struct Warden<W: Ward> {
    held: Vec<Held<W>>,
}

impl<W: Ward> Warden<W> {
    /// Watches `held`.
    #[must_use]
    pub fn new(held: Vec<Held<W>>) -> Warden<W> {
        Warden { held }
    }

    fn look(&mut self) {
        self.held.retain(|held| !held.ward.is_done());
        for held in &self.held {
            if !lock(&held.current.0).connected() {
                tracing::error!("an actor died and is made again");
                held.ward.revived();
                *lock(&held.current.0) = held.ward.make();
            }
        }
    }
}

impl<W: Ward + Unpin> Actor for Warden<W> {
    type Context = Context<Warden<W>>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(LOOK_EVERY, |warden, _| warden.look());
    }
}

/// A further child.
pub struct Adopt<W: Ward>(pub Held<W>);

impl<W: Ward> Message for Adopt<W> {
    type Result = ();
}

impl<W: Ward + Unpin> Handler<Adopt<W>> for Warden<W> {
    type Result = ();

    fn handle(&mut self, message: Adopt<W>, _: &mut Self::Context) {
        self.held.push(message.0);
    }
}

/// The warden ends; children stay.
pub struct Dismiss;

impl Message for Dismiss {
    type Result = ();
}

impl<W: Ward + Unpin> Handler<Dismiss> for Warden<W> {
    type Result = ();

    fn handle(&mut self, _: Dismiss, context: &mut Self::Context) {
        context.stop();
    }
}
