//! What answers mean, and how the records that are refused are found.
