module gort/bench/peers

go 1.18
