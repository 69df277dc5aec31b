package main

import (
	"fmt"
	"sort"
)

// As bench/workloads/map_latency.h, but by the clock: Go has no access to the processor's counter.
// What two readings of the clock take is in the line, and in every figure.
func mapLatency(count int) {
	r := random{1}
	keys := make([]uint64, count)
	for i := range keys {
		keys[i] = r.next()
	}
	ns := make([]int64, count)
	for i := range ns {
		before := nowNS()
		ns[i] = nowNS() - before
	}
	sort.Slice(ns, func(i, j int) bool { return ns[i] < ns[j] })
	clock := ns[count/2]
	m := map[uint64]uint64{}
	of := measure(func() {
		for i, key := range keys {
			before := nowNS()
			m[key] = uint64(i)
			ns[i] = nowNS() - before
		}
	})
	sort.Slice(ns, func(i, j int) bool { return ns[i] < ns[j] })
	at := func(share float64) int64 { return ns[int(share*float64(count-1))] }
	newLine("map_latency", fmt.Sprintf("int64/%d", count)).result(count, of, uint64(len(m))).
		add("p50_ns", at(0.5)).add("p99_ns", at(0.99)).add("p999_ns", at(0.999)).
		add("p9999_ns", at(0.9999)).add("max_ns", at(1)).add("clock_ns", clock).print()
}
