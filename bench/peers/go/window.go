package main

import "fmt"

// As bench/workloads/window.h. A message is an array behind one pointer, as in C++: with slices, whose
// three words stand in the map's cells, the map would be another.

type message [1024]byte

//go:noinline
func pushMessage(messages map[int64]*message, kept, id int) {
	m := new(message)
	for i := range m {
		m[i] = byte(id)
	}
	messages[int64(id)] = m
	if id >= kept {
		delete(messages, int64(id-kept))
	}
}

func window(kept, count int) {
	messages := map[int64]*message{}
	l := new(latencies)
	m := measure(func() {
		for id := 0; id < count; id++ {
			start := nowNS()
			pushMessage(messages, kept, id)
			l.record(nowNS() - start)
		}
	})
	var checksum uint64
	first := 0
	if count > kept {
		first = count - kept
	}
	for id := first; id < count; id++ {
		message := messages[int64(id)]
		checksum = mix(checksum, uint64(message[0])+uint64(message[len(message)-1]))
	}
	s := stats(0)
	newLine("window", fmt.Sprintf("%d/%d", kept, count)).result(count, m, checksum).
		add("collections", s.collections).pauses(s).
		add("push_p50_ns", l.quantile(0.5)).add("push_p99_ns", l.quantile(0.99)).
		add("push_p999_ns", l.quantile(0.999)).add("push_p9999_ns", l.quantile(0.9999)).
		add("push_max_ns", int64(l.max)).print()
}
