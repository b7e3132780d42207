//! Rules, held to values computed by hand and to an interpreter that knows nothing of them.

mod errors;
mod functions;
mod model;
mod patterns;
mod random;
mod stage;
mod text;
