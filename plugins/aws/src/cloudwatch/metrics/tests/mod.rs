//! The output as a whole: what is sent, and what becomes of what is answered.

mod answers;
mod goldens;
mod kit;
mod legal;
mod settings;
