//! Rules, held to values computed by hand and to an interpreter that knows nothing of them.

mod errors;
mod functions;
mod messages;
mod model;
mod numbers;
mod patterns;
mod random;
mod stage;
mod text;
