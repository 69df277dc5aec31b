package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"time"
)

// As bench/workloads/map_slices.h.

const sliceOps = 400000

func serveSlices[K comparable](n int, keys, others []K, r *random) {
	m := make(map[K]uint64)
	insertAll := func(m map[K]uint64) {
		for i, k := range keys {
			m[k] = uint64(i)
		}
	}
	insertAll(m)
	r.shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	runtime.GC()
	fmt.Println("ready")

	part := n
	if part > sliceOps {
		part = sliceOps
	}
	repetitions := sliceOps / part
	at := 0
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		count := part
		var sum uint64
		start := time.Now()
		switch in.Text() {
		case "hit":
			for rep := 0; rep < repetitions; rep++ {
				for _, k := range keys[at : at+part] {
					sum += m[k]
				}
			}
		case "miss":
			for rep := 0; rep < repetitions; rep++ {
				for _, k := range others[at : at+part] {
					if _, ok := m[k]; ok {
						sum++
					}
				}
			}
		case "churn":
			for rep := 0; rep < repetitions; rep++ {
				for i := at; i < at+part; i++ {
					delete(m, keys[i])
					m[others[i]] = uint64(i)
					keys[i], others[i] = others[i], keys[i]
				}
			}
			sum = uint64(len(m))
		case "iterate":
			count = n
			for rep := 0; rep < repetitions; rep++ {
				for _, v := range m {
					sum += v
				}
			}
		case "insert":
			count = n
			for rep := 0; rep < repetitions; rep++ {
				fresh := make(map[K]uint64)
				insertAll(fresh)
				m = fresh
			}
			sum = uint64(len(m))
		default:
			fmt.Printf("no such operation: %s\n", in.Text())
			return
		}
		ns := float64(time.Since(start).Nanoseconds())
		if at += part; at+part > n {
			at = 0
		}
		fmt.Printf("%.2f %016x\n", ns/float64(count*repetitions), sum)
	}
}

func mapSlices(kind string, n int) {
	r := random{1}
	switch kind {
	case "int64":
		keys := make([]uint64, n)
		others := make([]uint64, n)
		for i := range keys {
			keys[i] = r.next()
		}
		for i := range others {
			others[i] = r.next()
		}
		serveSlices(n, keys, others, &r)
	case "string":
		keys := stringKeys(n, &r)
		serveSlices(n, keys, stringKeys(n, &r), &r)
	default:
		fail()
	}
}
