package main

// As bench/workloads/scaling.h, where it is explained. The two processes are this program, called
// with `slices KIND THREADS`: for each processor number that comes in, what was done goes out.

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

const (
	anyProcessor = int32(-1)
	sliceNS      = 100000000
	turnObjects  = 1 << 14
)

// What one process did in a slice.
type sliceResult struct {
	Speed    float64 // objects a nanosecond, all goroutines
	NS       int64
	Ops      uint64 // of all slices so far
	Checksum uint64 // of every goroutine's first turn
	User     int64  // nanoseconds of processor time so far
	System   int64
	PeakKB   int64
}

type processorSet [1024 / 64]uint64

func (s *processorSet) call(number uintptr) bool {
	_, _, failed := syscall.RawSyscall(number, 0, unsafe.Sizeof(*s), uintptr(unsafe.Pointer(s)))
	return failed == 0
}

func endIf(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "scaling:", err)
		os.Exit(1)
	}
}

// The process that works.
func slices(kind string, threads int) {
	rings := make([]objectRing, threads)
	ops := make([]uint64, threads)
	sums := make([]uint64, threads)
	speeds := make([]float64, threads)
	var working int32 // goroutines that have not counted yet
	slice := func(t int) {
		r, start, counted := rings[t], nowNS(), false
		for done := uint64(0); ; {
			sum := r.turn(ops[t], turnObjects)
			if ops[t] == 0 {
				sums[t] = sum
			}
			done += turnObjects
			ops[t] += turnObjects
			if ns := nowNS() - start; !counted && ns >= sliceNS {
				speeds[t], counted = float64(done)/float64(ns), true
				atomic.AddInt32(&working, -1)
			}
			if atomic.LoadInt32(&working) == 0 {
				return
			}
		}
	}
	var over sync.WaitGroup
	starts := make([]chan struct{}, threads)
	for t := range rings {
		rings[t], starts[t] = newRing(kind), make(chan struct{})
		if t > 0 {
			go func(t int) {
				for range starts[t] {
					slice(t)
					over.Done()
				}
			}(t)
		}
	}
	var result sliceResult
	measure(func() {}) // the peak is from here on
	begin := usageNow()
	for processor := anyProcessor; ; {
		if binary.Read(os.Stdin, binary.LittleEndian, &processor) != nil {
			return
		}
		if processor != anyProcessor {
			runtime.LockOSThread()
			var set processorSet
			set[processor/64] = 1 << (processor % 64)
			set.call(syscall.SYS_SCHED_SETAFFINITY)
		}
		working = int32(threads)
		start := nowNS()
		over.Add(threads - 1)
		for _, c := range starts[1:] {
			c <- struct{}{}
		}
		slice(0)
		over.Wait()
		now := usageNow()
		result = sliceResult{NS: now.wall - start, User: now.user - begin.user,
			System: now.system - begin.system, PeakKB: statusKB("VmHWM")}
		for t := range rings {
			result.Speed += speeds[t]
			result.Ops += ops[t]
			result.Checksum = mix(result.Checksum, sums[t])
		}
		endIf(binary.Write(os.Stdout, binary.LittleEndian, result))
	}
}

// Such a process, seen from the one that made it.
type slicer struct {
	process *exec.Cmd
	to      io.WriteCloser
	from    io.Reader
}

func newSlicer(kind string, threads int) *slicer {
	path, err := os.Executable()
	endIf(err)
	s := &slicer{process: exec.Command(path, "slices", kind, strconv.Itoa(threads))}
	s.process.Stderr = os.Stderr
	s.to, err = s.process.StdinPipe()
	endIf(err)
	s.from, err = s.process.StdoutPipe()
	endIf(err)
	endIf(s.process.Start())
	return s
}

func (s *slicer) slice(processor int32) (result sliceResult) {
	endIf(binary.Write(s.to, binary.LittleEndian, processor))
	endIf(binary.Read(s.from, binary.LittleEndian, &result))
	return result
}

func (s *slicer) end() {
	s.to.Close()
	endIf(s.process.Wait())
}

func scaling(kind string, threads, rounds int) {
	newRing(kind)
	var processors []int32
	var allowed processorSet
	if allowed.call(syscall.SYS_SCHED_GETAFFINITY) {
		for i := int32(0); i < int32(64*len(allowed)) && len(processors) < threads; i++ {
			if allowed[i/64]>>(i%64)&1 == 1 {
				processors = append(processors, i)
			}
		}
	}
	if len(processors) == 0 {
		processors = []int32{anyProcessor}
	}
	one, several := newSlicer(kind, 1), newSlicer(kind, threads)
	var total sliceResult
	var ns int64
	var gains, alike []float64
	for round := 0; round < rounds; round++ {
		var alone []float64
		sum := 0.0
		for _, processor := range processors {
			alone = append(alone, one.slice(processor).Speed)
			sum += alone[len(alone)-1]
		}
		total = several.slice(anyProcessor)
		ns += total.NS
		gains = append(gains, total.Speed*float64(len(alone))/sum)
		sort.Float64s(alone)
		alike = append(alike, alone[0]/alone[len(alone)-1])
	}
	one.end()
	several.end()
	l := newLine("scaling", kind+"/"+strconv.Itoa(threads)).result(int(total.Ops),
		measurement{ns, total.User, total.System, total.PeakKB}, total.Checksum)
	quarters := func(name string, values []float64) {
		sort.Float64s(values)
		for _, percent := range []int{25, 50, 75} {
			value := values[(len(values)-1)*percent/100]
			l.add(name+"_p"+strconv.Itoa(percent), int64(value*1000))
		}
	}
	quarters("gain", gains)
	quarters("alike", alike)
	l.print()
}
