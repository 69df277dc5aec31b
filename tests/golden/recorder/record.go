package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"runtime"
	"strconv"
	"unsafe"
)

type bucketLine struct {
	Top  string   `json:"top"`
	Keys []string `json:"keys"`          // of live cells
	Was  []string `json:"was,omitempty"` // keys that can still be read in others
	Data string   `json:"data"`          // see dataBits
}
type pairLine struct {
	Key  string `json:"k"`
	Hash string `json:"h"`
}

// Length and capacity of a list of overflow buckets.
type listLine [2]int
type extraLine struct {
	Overflow    *listLine `json:"overflow,omitempty"`
	OldOverflow *listLine `json:"oldoverflow,omitempty"`
	Spares      int       `json:"spares"`
}
type line struct {
	Op         string         `json:"op"`
	Key        string         `json:"k,omitempty"`
	Hash       string         `json:"h,omitempty"`
	Moved      []pairLine     `json:"moved,omitempty"`
	Type       string         `json:"type,omitempty"`
	Go         string         `json:"go,omitempty"`
	KeySize    int            `json:"keysize,omitempty"`
	ElemSize   int            `json:"elemsize,omitempty"`
	BucketSize int            `json:"bucketsize,omitempty"`
	Hint       *int           `json:"hint,omitempty"`
	N          *int           `json:"n,omitempty"`
	Start      *int           `json:"start,omitempty"`
	Offset     *int           `json:"offset,omitempty"`
	Seen       []string       `json:"seen,omitempty"`
	End        bool           `json:"end,omitempty"`
	Count      *int           `json:"count,omitempty"`
	Flags      *int           `json:"flags,omitempty"`
	B          *int           `json:"B,omitempty"`
	Noverflow  *int           `json:"noverflow,omitempty"`
	Nevacuate  *int           `json:"nevacuate,omitempty"`
	HeapBytes  *int64         `json:"heap_bytes,omitempty"`
	Extra      *extraLine     `json:"extra,omitempty"`
	Buckets    [][]bucketLine `json:"buckets,omitempty"`
	OldBuckets [][]bucketLine `json:"oldbuckets,omitempty"`
}

func number(n int) *int { return &n }

func chains(t table, mt *mapType, array unsafe.Pointer, count int) [][]bucketLine {
	out := make([][]bucketLine, count)
	forEachBucket(mt, array, count, func(i, _ int, b unsafe.Pointer) {
		tops := *(*[cells]uint8)(b)
		one := bucketLine{Top: fmt.Sprintf("%x", tops[:]), Data: dataBits(mt, b)}
		for c, top := range tops {
			if key := keyIn(mt, b, c); top >= minTopHash {
				slot := key
				if slot == nil { // a live zero
					slot = keySlot(mt, b, c)
				}
				one.Keys = append(one.Keys, t.text(slot))
			} else if key != nil {
				one.Was = append(one.Was, t.text(key))
			}
		}
		out[i] = append(out[i], one)
	})
	return out
}

func snapshot(t table, heap int64) line {
	out := line{Op: "snap", HeapBytes: &heap}
	mt, h := t.look()
	if h == nil {
		return out
	}
	out.Count, out.Flags, out.B = number(h.count), number(int(h.flags)), number(int(h.b))
	out.Noverflow, out.Nevacuate = number(int(h.noverflow)), number(int(h.nevacuate))
	if h.extra != nil {
		list := func(l *[]unsafe.Pointer) *listLine {
			if l == nil {
				return nil
			}
			return &listLine{len(*l), cap(*l)}
		}
		out.Extra = &extraLine{list(h.extra.overflow), list(h.extra.oldoverflow), spares(mt, h)}
	}
	if h.buckets != nil {
		out.Buckets = chains(t, mt, h.buckets, 1<<h.b)
	}
	if h.growing() {
		out.OldBuckets = chains(t, mt, h.oldbuckets, h.oldCount())
	}
	return out
}

// nanWatch finds out which hash the map took for each NaN: a NaN hashes to something else each time,
// and only where it then stands tells as much of the hash as mattered.
type nanWatch struct {
	t     table
	array unsafe.Pointer
	known []bool // NaNs that stood in the current array before
}

func (w *nanWatch) moved() (out []pairLine) {
	mt, h := w.t.look()
	if h == nil || h.buckets == nil || mt.key.size != 8 {
		return nil
	}
	if h.buckets != w.array {
		w.array = h.buckets
		for i := range w.known {
			w.known[i] = false
		}
	}
	forEachBucket(mt, h.buckets, 1<<h.b, func(i, _ int, b unsafe.Pointer) {
		for c := 0; c < cells; c++ {
			key, top := keySlot(mt, b, c), *(*uint8)(unsafe.Add(b, c))
			if k := *(*float64)(key); top >= minTopHash && k != k && !w.known[w.t.number(key)] {
				w.known[w.t.number(key)] = true
				out = append(out, pairLine{w.t.text(key), strconv.FormatUint(uint64(top)<<56|uint64(i), 16)})
			}
		}
	})
	return out
}

func heapAlloc() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func play(t table, s []operation, p *player, before, after func(i int)) {
	for i, op := range s {
		p.fixSeed()
		before(i)
		p.do(op)
		after(i)
	}
	p.do(operation{"leave", 0})
	t.drop()
}

// record plays the script four times. The first three measure the heap at each snapshot, undisturbed
// by the recorder's own memory; the least value counts, as the Go process itself takes some memory now
// and then. The last writes the trace. With NaN keys no two plays are alike, nor are they while a loop
// is open, which begins anywhere and keeps hold of where it is: then the last play measures; that it
// writes each line at once leaves little of the recorder's in it.
func record(t table, s []operation, nans bool, out io.Writer) {
	heaps := make([]int64, len(s))
	p := newPlayer(t)
	t.make(0)
	mt, _ := t.look()
	t.drop()
	for pass := 0; pass < 3; pass++ {
		start := heapAlloc()
		play(t, s, p, func(int) {}, func(i int) {
			if s[i].name == "snap" {
				if bytes := heapAlloc() - start; pass == 0 || bytes < heaps[i] {
					heaps[i] = bytes
				}
			}
		})
	}
	encoder := json.NewEncoder(out)
	check(encoder.Encode(line{Op: "type", Type: spelled(t), Go: runtime.Version(), KeySize: int(mt.keySize),
		ElemSize: int(mt.elemSize), BucketSize: int(mt.bucketSize)}))
	var one line
	watch := nanWatch{t: t, known: make([]bool, len(s))}
	p.seen = func() { one.Seen = append(one.Seen, t.text(hiterOf(p.loop).key)) }
	start := heapAlloc()
	play(t, s, p, func(i int) {
		op := s[i]
		one = line{Op: op.name}
		switch op.name {
		case "make":
			one.Hint = &s[i].n
		case "set", "del":
			_, h := t.look()
			one.Key, one.Hash = t.text(t.key(op.n)), "any"
			if !t.nan(op.n) {
				one.Hash = strconv.FormatUint(uint64(mt.hasher(t.key(op.n), uintptr(h.hash0))), 16)
			} else if h.buckets == watch.array && watch.known[op.n] && op.name == "set" {
				log.Fatalf("the script sets the NaN %d twice", op.n)
			}
		}
	}, func(i int) {
		switch op := s[i]; op.name {
		case "snap":
			if nans || p.open {
				one = line{}
				heaps[i] = heapAlloc() - start
			}
			one = snapshot(t, heaps[i])
		case "range":
			it := hiterOf(p.loop)
			one.Start, one.Offset = number(int(it.startBucket)), number(int(it.offset))
			fallthrough
		case "next":
			one.N, one.End = &s[i].n, p.over
		case "set", "del":
			if nans {
				one.Moved = watch.moved()
			}
		}
		check(encoder.Encode(one))
	})
}
