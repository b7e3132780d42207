//! The actor of one connection's place: a thin shell that keeps it while it lives.

use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message};
use feeds::live::Stream;

use super::keeper::keep;
use super::slot::Slot;

/// See the module.
pub struct ConnectionActor {
    slot: Arc<Slot>,
}

impl ConnectionActor {
    /// The actor of `slot`.
    #[must_use]
    pub fn new(slot: Arc<Slot>) -> ConnectionActor {
        ConnectionActor { slot }
    }
}

impl Actor for ConnectionActor {
    type Context = Context<ConnectionActor>;

    fn started(&mut self, context: &mut Self::Context) {
        let kept = wrap_future::<_, ConnectionActor>(keep(self.slot.clone()));
        context.spawn(kept.map(|(), _, context: &mut Context<ConnectionActor>| context.stop()));
    }
}

/// Adds streams; nobody else's are disturbed.
pub struct Subscribe(pub Vec<Stream>);

impl Message for Subscribe {
    type Result = ();
}

impl Handler<Subscribe> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, message: Subscribe, _: &mut Self::Context) {
        self.slot.want(|wanted| wanted.extend(message.0));
    }
}

/// Removes streams.
pub struct Unsubscribe(pub Vec<Stream>);

impl Message for Unsubscribe {
    type Result = ();
}

impl Handler<Unsubscribe> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, message: Unsubscribe, _: &mut Self::Context) {
        self.slot.want(|wanted| wanted.retain(|stream| !message.0.contains(stream)));
    }
}

/// Closes the connection for good; the actor ends when that is done.
pub struct Stop;

impl Message for Stop {
    type Result = ();
}

impl Handler<Stop> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, _: Stop, _: &mut Self::Context) {
        self.slot.stopping.send_replace(true);
    }
}
