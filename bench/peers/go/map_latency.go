package main

import (
	"fmt"
	"runtime"
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
	total := nowNS()
	for i, key := range keys {
		before := nowNS()
		m[key] = uint64(i)
		ns[i] = nowNS() - before
	}
	total = nowNS() - total
	sort.Slice(ns, func(i, j int) bool { return ns[i] < ns[j] })
	at := func(share float64) int64 { return ns[int(share*float64(count-1))] }
	fmt.Printf(`{"workload":"map_latency","impl":"%s","keys":%d,"mean_ns":%.1f,"p50_ns":%d,`+
		`"p99_ns":%d,"p99.9_ns":%d,"p99.99_ns":%d,"max_ns":%d,"clock_ns":%d}`+"\n",
		runtime.Version(), len(m), float64(total)/float64(count), at(0.5), at(0.99), at(0.999),
		at(0.9999), at(1), clock)
}
