module example.com/{{name}}

go 1.24

require github.com/suiro-rs/suiro/wasm-filters/go v0.0.0

replace github.com/suiro-rs/suiro/wasm-filters/go => ./suiro-filter
