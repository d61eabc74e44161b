//! Zipkin
