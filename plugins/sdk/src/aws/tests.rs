//! Accounts against examples that AWS published, and against servers that behave like AWS's.

mod answers;
mod calls;
mod signatures;
mod surroundings;
