//! An exchange on loopback that speaks the venues' own protocols.
