module github.com/suiro-rs/suiro/wasm-filters/go

go 1.24
