package main

// As bench/workloads/report.h, random.h and latency.h.

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func statusKB(key string) int64 {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, key+":") {
			if fields := strings.Fields(line); len(fields) > 1 {
				if value, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
					return value
				}
			}
		}
	}
	return -1
}

var epoch = time.Now()

// Reads the monotonic clock only, which time.Now() does not.
func nowNS() int64 { return int64(time.Since(epoch)) }

type measurement struct {
	wall, user, system, peakKB int64
}

func usageNow() measurement {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return measurement{wall: nowNS(), user: r.Utime.Nano(), system: r.Stime.Nano()}
}

func measure(f func()) measurement {
	os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	start := usageNow()
	f()
	end := usageNow()
	return measurement{end.wall - start.wall, end.user - start.user, end.system - start.system,
		statusKB("VmHWM")}
}

// Calls f(t) on `threads` goroutines that start together.
func runThreads(threads int, f func(t int)) measurement {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(threads)
	done.Add(threads)
	for t := 0; t < threads; t++ {
		go func(t int) {
			ready.Done()
			<-start
			f(t)
			done.Done()
		}(t)
	}
	ready.Wait()
	return measure(func() {
		close(start)
		done.Wait()
	})
}

type line struct{ text strings.Builder }

func newLine(workload, name string) *line {
	l := &line{}
	fmt.Fprintf(&l.text, `{"workload":"%s","case":"%s","impl":"%s"`, workload, name, runtime.Version())
	return l
}

func (l *line) add(key string, value int64) *line {
	fmt.Fprintf(&l.text, `,"%s":%d`, key, value)
	return l
}

func (l *line) result(ops int, m measurement, checksum uint64) *line {
	l.add("ops", int64(ops)).add("ns", m.wall).add("user_ns", m.user).add("sys_ns", m.system)
	l.add("rss_peak_kb", m.peakKB)
	fmt.Fprintf(&l.text, `,"checksum":"%016x"`, checksum)
	return l
}

func (l *line) print() { fmt.Println(l.text.String() + "}") }

type heapStats struct {
	collections, pauseTotal, metadataKB int64
	pauses                              latencies
}

// The pauses are those after the first `after` collections, of the last 256.
func stats(after int64) heapStats {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := heapStats{collections: int64(m.NumGC),
		metadataKB: int64(m.MSpanSys+m.MCacheSys+m.BuckHashSys+m.GCSys+m.OtherSys) >> 10}
	oldest := s.collections - 256
	if oldest < after {
		oldest = after
	}
	if oldest < 0 {
		oldest = 0
	}
	for n := oldest; n < s.collections; n++ {
		ns := int64(m.PauseNs[n%256])
		s.pauses.record(ns)
		s.pauseTotal += ns
	}
	return s
}

func (l *line) pauses(s heapStats) *line {
	return l.add("pause_p50_ns", s.pauses.quantile(0.5)).add("pause_p90_ns", s.pauses.quantile(0.9)).
		add("pause_max_ns", int64(s.pauses.max)).add("pause_total_ns", s.pauseTotal)
}

func release() { debug.FreeOSMemory() }

// splitmix64.
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func (r *random) below(n uint64) uint64 { return ((r.next() >> 32) * n) >> 32 }

func (r *random) shuffle(n int, swap func(i, j int)) {
	for i := uint64(n); i > 1; i-- {
		swap(int(i-1), int(r.below(i)))
	}
}

func mix(checksum, value uint64) uint64 { return checksum*1099511628211 + value }

const subBits = 4

type latencies struct {
	buckets    [(64 - subBits + 1) << subBits]uint64
	count, max uint64
}

func (l *latencies) record(ns int64) {
	value := uint64(ns)
	bucket := value
	if value >= 1<<subBits {
		octave := uint64(bits.Len64(value)) - 1 - subBits
		bucket = (octave+1)<<subBits + value>>octave - 1<<subBits
	}
	l.buckets[bucket]++
	l.count++
	if value > l.max {
		l.max = value
	}
}

func (l *latencies) add(other *latencies) {
	for i, n := range other.buckets {
		l.buckets[i] += n
	}
	l.count += other.count
	if other.max > l.max {
		l.max = other.max
	}
}

func (l *latencies) quantile(rank float64) int64 {
	wanted := uint64(rank * float64(l.count))
	var seen uint64
	for i, n := range l.buckets {
		seen += n
		if seen > wanted {
			if i < 1<<subBits {
				return int64(i)
			}
			octave := uint64(i>>subBits) - 1
			end := (uint64(i%(1<<subBits)+1<<subBits)+1)<<octave - 1
			if end > l.max {
				end = l.max
			}
			return int64(end)
		}
	}
	return int64(l.max)
}
